"""Weights as a block of their own: the right one runs equal, a damaged or foreign one is refused before use."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import host
import toys
from cases import samples, together, trials
from ratti import models, nets, targets
from ratti.deploy import apart_program, prepare
from ratti.device import emulator, toolchain
from ratti.device.host import build_executable
from ratti.emit import blob, c_test
from ratti.emit.c import emit
from ratti.errors import InputError
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.plan import make_plan, make_plans
from ratti.samples import make_inputs
from ratti.verbs.export import export

OK, ABSENT, FORMAT, FOREIGN, TRUNCATED, BROKEN, MISALIGNED = range(7)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return nets.random_graph(toys.spec())


def retrained(graph: Graph, seed: int = 1) -> Graph:
    """The same net with some weights one code off: same shapes, same scales."""
    rng = np.random.default_rng(seed)
    values = dict(graph.values)
    for name, value in values.items():
        if value.data is not None and value.data.dtype == np.int8 and value.data.ndim > 1:
            nudge = rng.integers(-1, 2, value.data.shape)
            data = np.clip(value.data.astype(int) + nudge, -127, 127).astype(np.int8)
            values[name] = dataclasses.replace(value, data=data)
    return dataclasses.replace(graph, values=values)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def statuses(graph: Graph, blocks: list[bytes], tmp_path: Path, compiler: str) -> list[int]:
    """What opening each block gives on this computer, in as much room as the block takes."""
    export(graph, ["c"], tmp_path, weights="blob")
    (tmp_path / "main.c").write_text(_MAIN)
    subprocess.run([compiler, "-std=c99", "-O1", "toy.c", "main.c", "-o", "open"], cwd=tmp_path, check=True)
    data = b"".join(struct.pack("<I", len(b)) + b for b in blocks)
    result = subprocess.run([tmp_path / "open"], input=data, capture_output=True, check=True)
    return [int(word) for word in result.stdout.split()]


_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "toy.h"
int main(void)
{
    uint32_t bytes;
    while (fread(&bytes, 4, 1, stdin) == 1) {
        const toy_weights *weights;
        char *room = malloc(bytes + 8); /* of exactly the block: what is read beyond is found by a sanitizer */
        int status;
        if (fread(room, 1, bytes, stdin) != bytes) return 1;
        status = toy_open(room, bytes, &weights);
        if ((weights != 0) != (status == TOY_OK)) return 2;
        printf("%d\\n", status);
        free(room);
    }
    return 0;
}
"""


def test_the_exported_test_passes(graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    paths = export(graph, ["c"], tmp_path, weights="blob")
    names = ["toy.c", "toy.h", "toy_test.c", "toy_weights.bin", "toy_weights.c"]
    assert [p.name for p in paths] == names
    units = ["toy.c", "toy_weights.c", "toy_test.c"]
    options = ["-std=c99", "-O2", *host.WARNINGS, "-pedantic"]
    subprocess.run([system_compiler("gcc"), *options, *units, "-o", "test"], cwd=tmp_path, check=True)
    result = subprocess.run([tmp_path / "test"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "8 vectors equal\n")


def test_the_header_is_as_documented(graph: Graph) -> None:
    data = prepare(graph, "portable", weights_apart=True).sources.weights
    assert data is not None and len(data) % blob.ALIGN == 0
    magic, version, _, _, size, checksum = blob.HEADER.unpack(data[: blob.HEADER.size])
    assert (magic, version, size) == (b"rttw", 1, len(data))
    assert checksum == zlib.crc32(data[:28], zlib.crc32(data[32:]))


def test_every_flipped_bit_is_refused(graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    data = prepare(graph, "portable", weights_apart=True).sources.weights
    assert data is not None
    bits = [*range(8 * blob.HEADER.size), *range(8 * blob.HEADER.size, 8 * len(data), 37)]
    got = statuses(graph, [data, *(flipped(data, b) for b in bits)], tmp_path, system_compiler("gcc"))
    assert got[0] == OK and OK not in got[1:]
    by_byte = [got[1 + 8 * at] for at in (0, 4, 8, 16, 24, 28, 32)]
    assert by_byte == [ABSENT, FORMAT, FOREIGN, BROKEN, FOREIGN, BROKEN, BROKEN]


def test_half_a_download_and_erased_flash_are_refused(
    graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]
) -> None:
    data = prepare(graph, "portable", weights_apart=True).sources.weights
    assert data is not None
    half = data[: len(data) // 2]
    blocks = [half, half + b"\xff" * (len(data) - len(half)), b"\xff" * len(data), data[:31], b"", data + b"more"]
    got = statuses(graph, blocks, tmp_path, system_compiler("gcc"))
    assert got == [TRUNCATED, BROKEN, ABSENT, TRUNCATED, TRUNCATED, OK]


def test_blocks_of_other_nets_are_foreign(
    graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]
) -> None:
    other = nets.random_graph(toys.spec("conv: {width: 4, kernel: 3}", "flatten: {}", "fc: {width: 3}"))
    block = prepare(other, "portable", name="toy", weights_apart=True).sources.weights
    assert block is not None
    assert statuses(graph, [block], tmp_path, system_compiler("gcc")) == [FOREIGN]


def test_new_weights_change_the_block_alone(graph: Graph, tmp_path: Path) -> None:
    """As long as the proofs about the old weights that the code rests on hold for the new ones: here they do."""
    old, new = (prepare(g, "portable", weights_apart=True).sources for g in (graph, retrained(graph)))
    assert old.files == new.files and old.weights != new.weights
    assert old.weights is not None and new.weights is not None
    assert old.weights[:16] == new.weights[:16] and old.weights[16:24] != new.weights[16:24]


@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["stm32l4r5zi", "rp2040", "esp32c3"])
def test_on_emulated_cores(graph: Graph, target: str) -> None:
    """The right block runs equal, one with a flipped bit and one of another net are refused; what that costs."""
    part = targets.load(target)
    sources = prepare(graph, part.isa, weights_apart=True).sources
    assert sources.weights is not None
    other = prepare(graph, "rv32im" if part.isa == "armv6m" else "armv6m", weights_apart=True).sources.weights
    assert other is not None
    values = make_inputs(graph, 3)
    wanted = [next(iter(interpreter.run(graph, row).values())) for row in values]
    for block, expected in ((sources.weights, OK), (flipped(sources.weights, 2000), BROKEN), (other, None)):
        run = emulator.run(
            toolchain.build(apart_program(sources, "toy", block), part), [list(row) for row in values], watched=False
        )
        for (output, status), want in zip(run.outputs, wanted, strict=True):
            assert status[0] == expected if expected is not None else status[0] in (FOREIGN, TRUNCATED)
            equal = np.array_equal(output.view(np.int8), want.ravel())
            assert equal == (expected == OK)
    linked = prepare(graph, part.isa).program
    plain = emulator.run(toolchain.build(linked, part), [list(values[0])], watched=False)
    assert sum(plain.instructions[0]) > 50_000
    apart = toolchain.build(apart_program(sources, "toy", sources.weights), part)
    both = emulator.run(apart, [list(values[0])], watched=False).instructions[0]
    assert both[0] < 20 * len(sources.weights) + 500  # opening: a table look-up for each half byte
    assert both[1] < 1.02 * sum(plain.instructions[0]) + 200
    more = apart.image.flash_bytes - toolchain.build(linked, part).image.flash_bytes
    assert more < 1300  # most on RISC-V, whose loads reach 2 KiB


@pytest.mark.toolchain
@pytest.mark.parametrize("features", ["portable", "armv6m", "rv32ec"])
def test_every_kernel_takes_its_tables_from_a_block(features: str) -> None:
    """All tables of all kernels, as Python writes them, are read by the C as it reads its own arrays."""
    graph, kernels = together("every", trials(features))
    c = emit(make_plan(graph, FEATURES[features], kernels=kernels), "every", apart=True)
    assert c.weights is not None
    inputs = samples([graph.type(n) for n in graph.inputs], 1)[-1:]
    outputs = [[r[n] for n in graph.outputs] for r in (interpreter.run(graph, x) for x in inputs)]
    files = {**c.files, "every_weights.c": blob.linkable("every", c.weights)}
    files |= c_test.emit(c, "every", inputs, outputs)
    program = build_executable(files, "undefined", host.QUICK)
    assert host.finishes(program) == (0, f"{len(inputs)} vectors equal\n")


@pytest.mark.toolchain
def test_streams_take_the_block_along() -> None:
    graph = run_pipeline(models.load("mobilenet_v1-0.25-32"))
    plan = min(make_plans(graph, FEATURES["portable"]), key=lambda p: p.arena_bytes)
    assert plan.streams
    c = emit(plan, "net", apart=True)
    inputs = samples([graph.type(n) for n in graph.inputs], 1)[-1:]
    outputs = [[r[n] for n in graph.outputs] for r in (interpreter.run(graph, x) for x in inputs)]
    files = {**c.files, "net_weights.c": blob.linkable("net", c.weights or b"")}
    program = build_executable({**files, **c_test.emit(c, "net", inputs, outputs)}, None, ("-std=c99",))
    assert host.finishes(program) == (0, "1 vectors equal\n")


def test_blocks_come_with_c_alone(graph: Graph, tmp_path: Path) -> None:
    for kinds, project in ((["cpp"], []), (["c", "rust"], []), (["c"], ["cmake"])):
        with pytest.raises(InputError, match="plain C"):
            export(graph, kinds, tmp_path / "x", project=project, weights="blob")
    with pytest.raises(InputError, match="unknown place of weights"):
        export(graph, ["c"], tmp_path / "x", weights="far")
    assert not (tmp_path / "x").exists()


def test_an_update_that_firmware_would_refuse_is_told_before_it_is_sent(graph: Graph, tmp_path: Path) -> None:
    """As `open` would judge it on the device: the same code takes other weights, other code does not."""
    def said(other: Graph) -> list[str]:
        lines: list[str] = []
        export(other, ["c"], tmp_path, name="toy", weights="blob", say=lines.append)
        return lines

    assert said(graph) == []
    (line,) = said(retrained(graph))
    assert "takes these" in line and "warning" not in line
    wider = nets.random_graph(nets.spec("micro-1.0-8"))
    (line,) = said(wider)
    number = blob.made_for((tmp_path / "toy_weights.bin").read_bytes())
    assert line.startswith("warning: toy_weights.bin") and f"theirs 0x{number:016x}" in line and "together" in line
    for damaged in (b"", b"rtt", b"x" * 100):  # nothing that firmware took before
        (tmp_path / "toy_weights.bin").write_bytes(damaged)
        assert blob.made_for(damaged) is None and said(graph) == []
