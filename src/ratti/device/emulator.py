"""Runs firmware on the emulated part, in a worker process, and says in words what it did wrong.

The protocol is described in `worker.py`. The worker is killed when it does not answer in time, and a crash of the
emulator is an error of this process, never its end.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as memoize
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EmulationError
from ..targets import Target
from ..types import Array
from . import cache, cores, faults, isa, toolchain
from .toolchain import Firmware
from .worker import receive, send

REQUESTS_PER_WORKER = 50  # the emulator loses some 3 MB a run for good (unicorn 2.1.4)
SPARE_SECONDS = 10.0  # for the worker's start and for what surrounds the runs


@dataclass(frozen=True)
class Cell:
    """How often a block ran in a segment, and how often the next block in memory followed (branch not taken)."""

    segment: int
    times: int
    falls: int


@dataclass(frozen=True)
class BlockCounts:
    """A basic block that ran, with its counts by segment (step)."""

    address: int
    bytes: int
    instructions: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Cycles:
    """Cycles of the core by step, without waiting for flash, and the table that gave them."""

    low: tuple[int, ...]
    high: tuple[int, ...]
    source: str


@dataclass(frozen=True)
class Run:
    """What firmware did. `outputs[inference][output]` are uint8 arrays; `instructions[inference][step]`."""

    outputs: tuple[tuple[Array, ...], ...]
    instructions: tuple[tuple[int, ...], ...]
    stack_bytes: int
    blocks: tuple[BlockCounts, ...]  # of the first inference, as the two fields below
    cycles: Cycles | str  # or why there are none
    stalls: tuple[int, ...] | None  # cycles of waiting for flash by step; None: not watched, or flash not described


class Emulator:
    """A worker process, started when first needed. Use it as a context, or `close` it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._served = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, text: dict[str, Any], data: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Send one request and return the answer, or raise EmulationError where none comes in `seconds`."""
        with self._lock:
            process = self._start()
            late = threading.Event()

            def kill() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, kill)
            timer.start()
            try:
                assert process.stdin is not None and process.stdout is not None
                send(process.stdin, text, data)
                frame = receive(process.stdout)
            except OSError:
                frame = None
            except BaseException:  # interrupted halfway: the rest of the answer must not meet the next request
                process.kill()
                self._stop()
                raise
            finally:
                timer.cancel()
            if frame is None:
                code = self._stop()
                if late.is_set():
                    raise EmulationError(f"the emulator gave no answer in {seconds:g} s and was stopped")
                raise EmulationError(f"the emulator process ended by itself (exit code {code})")
        answer, blob = frame
        if "broken" in answer:
            raise EmulationError(f"the emulator refused the firmware: {answer['broken']}")
        return answer, blob

    def close(self) -> None:
        """End the worker; a later request starts another."""
        with self._lock:
            self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        self._served += 1
        if self._served > REQUESTS_PER_WORKER or (self._process is not None and self._process.poll() is not None):
            self._stop()
        if self._process is None:
            faults.require_emulator()
            self._served = 1
            source = str(Path(__file__).parents[2])
            paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ratti.device.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)),
            )
        return self._process

    def _stop(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def shared() -> Emulator:
    """The emulator that this process keeps; it ends with the process. A forked child starts its own."""
    return _shared(os.getpid())


@memoize
def _shared(process_id: int) -> Emulator:
    emulator = Emulator()
    atexit.register(emulator.close)
    return emulator


def run(firmware: Firmware, inputs: Sequence[Sequence[Array]], *, seconds: float = 60.0, watched: bool = True,
        emulator: Emulator | None = None) -> Run:
    """Run `firmware` once for each entry of `inputs` (an array of the input's bytes for each input slot).

    `seconds` limits each inference. `watched` runs the first one again, ten times slower, with its accesses to memory
    in view: that finds misaligned ones and gives `stalls`. Raises EmulationError where the firmware faults, runs out of
    time or its entry function is not a straight line of one call per step.
    """
    program, image = firmware.program, firmware.image
    if not inputs:
        raise ValueError("a run needs at least one inference")
    steps = len(program.steps)
    data = [_input_bytes(firmware, number, values) for number, values in enumerate(inputs)]
    known = _Known(firmware, data[0])
    cores.require(firmware.target.core)
    job = describe(firmware)
    job.update(n_inferences=len(inputs), seconds=seconds, watch=known.still_to_watch() if watched else None)
    request = image.contents() + b"".join(data)
    answer, blob = (emulator or shared()).request(job, request, seconds * len(inputs) + SPARE_SECONDS)
    if "fault" in answer:
        raise faults.error(firmware, answer["fault"], seconds)
    faults.check_stack(firmware, answer["stack_bytes"])
    for row in answer["instructions"]:
        _check_segments(len(row), steps, program.entry)
    blocks = tuple(
        BlockCounts(a, b, n, tuple(Cell(min(s, steps - 1), t, f) for s, t, f in cells))
        for a, b, n, cells in answer["blocks"]
    )
    cycles, stalls = answer["cycles"], known.stalls
    if job["watch"]:
        stalls = answer["stalls"]
        known.keep(stalls)
    return Run(
        outputs=_split(blob, firmware, len(inputs)),
        instructions=tuple(_fold(row, steps) for row in answer["instructions"]),
        stack_bytes=answer["stack_bytes"],
        blocks=blocks,
        cycles=cycles["reason"] if "reason" in cycles else Cycles(
            _fold(cycles["low"], steps), _fold(cycles["high"], steps), cycles["source"]),
        stalls=None if stalls is None else _fold(stalls, steps),
    )


def check(firmware: Firmware, emulator: Emulator | None = None) -> None:
    """Raise EmulationError where the linked code holds an instruction that the target does not have.

    Of an instruction set that the disassembler does not know nothing is said (see `isa`).
    """
    target, image = firmware.target, firmware.image
    if target.isa not in isa.ISAS:
        return
    passed = firmware.folder / f"{target.isa}.checked"
    if passed.exists():
        return
    ranges = [[start, end - start] for start, end in image.code]
    data = b"".join(image.read(start, end) for start, end in image.code)
    request = {"do": "check", "isa": target.isa, "ranges": ranges}
    answer, _ = (emulator or shared()).request(request, data, SPARE_SECONDS)
    if answer["foreign"]:
        found = "; ".join(f"'{text}' in {faults.place(image, at)}" for at, text in answer["foreign"])
        raise EmulationError(f"{target.id} has no such instruction ({target.isa}): {found}")
    passed.touch()


class _Known:
    """What earlier watched runs of this firmware found, kept beside it: watching takes ten times a plain run.

    Waiting for flash is kept for each first input; that no access is misaligned is taken from the first input ever run.
    """

    def __init__(self, firmware: Firmware, first_input: bytes) -> None:
        core, flash = cores.load(firmware.target.core), _flash(firmware.target)
        self._aligned = firmware.folder / "aligned.checked"
        self._waits = firmware.folder / f"waits-{cache.key([flash, first_input.hex()])}.json"
        self._must_align = not core.faults_misaligned and not self._aligned.exists()
        self._has_flash = flash is not None
        self.stalls: list[int] | None = None
        if self._has_flash and self._waits.exists():
            self.stalls = json.loads(self._waits.read_text(encoding="utf-8"))

    def still_to_watch(self) -> str | None:
        """The worker's `watch`."""
        if self._must_align:
            return "all"
        return "flash" if self._has_flash and self.stalls is None else None

    def keep(self, stalls: list[int] | None) -> None:
        """Remember a watched run that went well."""
        self._aligned.touch()
        if stalls is not None:
            cache.write(self._waits, json.dumps(stalls))


def describe(firmware: Firmware) -> dict[str, Any]:
    target, program, image = firmware.target, firmware.program, firmware.image
    core = cores.load(target.core)
    entry = image.symbol(program.entry)
    flash = _flash(target)
    return {
        "do": "run", "arch": core.arch, "model": core.emulator, "core": target.core,
        "hook": str(toolchain.native("qemuplugin" if core.board else "blockhook")), "firmware": image.path,
        "board": core.board,
        "memory": [{"origin": r.origin, "bytes": r.bytes, "kind": r.kind, "code": "code" in r.holds}
                   for r in target.memory],
        "segments": [[s.address, s.bytes] for s in image.segments],
        "code_start": image.text_start, "code_bytes": image.text_bytes,
        "flash": flash,
        "stack": [image.symbol("__stack_bottom").address, image.symbol("__stack_top").address],
        "reset": image.symbol("Reset").address, "idle": image.symbol("ratti_idle").address,
        "entry": entry.address, "entry_end": entry.end, "arena": image.symbol("ratti_arena").address,
        "inputs": [[s.offset_bytes, s.bytes] for s in program.inputs],
        "outputs": [[s.offset_bytes, s.bytes] for s in program.outputs],
        "n_segments": len(program.steps) + 1,
    }


def _flash(target: Target) -> list[int] | None:
    region, front = target.region("code"), target.flash_cache
    if front is None or region.wait_states is None:
        return None
    return [region.origin, region.bytes, region.wait_states, front.read_bytes, int(front.prefetch), front.line_bytes,
            front.code_lines, front.data_lines]


def _input_bytes(firmware: Firmware, number: int, values: Sequence[Array]) -> bytes:
    slots = firmware.program.inputs
    if len(values) != len(slots):
        raise ValueError(f"inference {number}: {len(values)} inputs for a program with {len(slots)}")
    encoded = [np.ascontiguousarray(v).tobytes() for v in values]
    for index, (raw, slot) in enumerate(zip(encoded, slots, strict=True)):
        if len(raw) != slot.bytes:
            raise ValueError(f"inference {number}: input {index} has {len(raw)} bytes, the program takes {slot.bytes}")
    return b"".join(encoded)


def _check_segments(segments: int, steps: int, entry: str) -> None:
    """A segment is one step; the entry function's return may be one more."""
    if segments not in (steps, steps + 1):
        raise EmulationError(f"{entry} made {segments - 1} or {segments} calls but has {steps} steps: it must be a "
                             "straight line of one call per step")


def _fold(row: Sequence[int], steps: int) -> tuple[int, ...]:
    """Figures by step; what belongs to the entry function's return goes to the last one."""
    return (*row[: steps - 1], sum(row[steps - 1 :]))


def _split(blob: bytes, firmware: Firmware, inferences: int) -> tuple[tuple[Array, ...], ...]:
    outputs, at = [], 0
    for _ in range(inferences):
        one = []
        for slot in firmware.program.outputs:
            one.append(np.frombuffer(blob, np.uint8, slot.bytes, at))
            at += slot.bytes
        outputs.append(tuple(one))
    return tuple(outputs)
