"""Rust crates: every kernel on every case that it serves equals the interpreter, with overflow checked; crates build
with cargo, pass their own tests, and are what they promise: no unsafe, no heap, no std."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cases import Trial, all_cases, label, samples, together, trials
from graphs import random_graph
from ratti import kernels
from ratti.cli import main
from ratti.deploy import prepare_rust
from ratti.device.host_rust import RustModel
from ratti.emit import rust
from ratti.errors import EmulationError, InputError, ToolchainError, UnsupportedError
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder, from_case
from ratti.graph.ir import Graph
from ratti.kernels import FEATURES
from ratti.ops.base import int8
from ratti.ops.relu import Relu
from ratti.plan import Plan, make_plan
from ratti.types import DType
from ratti.verbs.export import export
from ratti.verbs.verify import verify
from test_overlap import distances

CHECKED = ("-C", "opt-level=0", "-C", "overflow-checks=on", "-C", "debug-assertions=on", "-D", "warnings")


@pytest.fixture(scope="module")
def rustc() -> None:
    if shutil.which("rustc") is None:
        pytest.skip("the compiler rustc is missing")


@pytest.fixture(scope="module")
def cargo(rustc: None) -> str:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is missing")
    return "cargo"


def written(seed: int | None = None) -> list[Trial]:
    narrow = (t for t in trials(rust.FEATURE_SET, seed=seed) if t.case.outputs[0].dtype is not DType.INT16)
    return [t for t in narrow if kernels.rust_form(t.kernel) is not None]


@cache
def every_case(seed: int | None = None) -> tuple[Plan, rust.RustCrate]:
    """One crate with a node for every case and kernel."""
    graph, fixed = together("every" if seed is None else f"random_{seed}", written(seed))
    plan = make_plan(graph, FEATURES[rust.FEATURE_SET], kernels=fixed)
    return plan, rust.emit(plan)


def assert_equal(graph: Graph, crate: rust.RustCrate, count: int = 8) -> None:
    """On every sample, one after the other in the same arena; names what differs."""
    differ = set()
    with RustModel(crate, CHECKED) as model:
        for x in samples([graph.type(n) for n in graph.inputs], count):
            want = interpreter.run(graph, x)
            got = model.run(x)
            assert len(got) == len(graph.outputs)
            pairs = [(n, y.view(want[n].dtype), want[n].ravel()) for n, y in zip(graph.outputs, got, strict=True)]
            differ |= {n for n, y, expected in pairs if (y != expected).any()}
    assert differ == set()


def in_parts(plan: Plan, crate: rust.RustCrate, parts: int) -> rust.RustCrate:
    """The crate with the rows of each step cut into `parts` calls; every value has a place of its own in `plan`."""
    library = re.sub(
        r"^    (steps::.*?),\s+0\.\.(\d+)\);$",
        lambda m: (
            f"    for part in 0..{parts} {{\n"
            f"        let rows = {m[2]} * part / {parts}..{m[2]} * (part + 1) / {parts};\n"
            f"        if !rows.is_empty() {{ {m[1]}, rows); }}\n    }}"
        ),
        crate.files["src/lib.rs"],
        flags=re.S | re.M,
    )
    assert library.count("for part in") == len(plan.steps)
    return dataclasses.replace(crate, files={**crate.files, "src/lib.rs": library})


def apart(plan: Plan) -> Plan:
    """The plan with no two values or scratches in the same place, but those that one reshapes into the other."""
    homes = {offset: name for name, offset in plan.offsets.items()}  # only to show that places were shared
    assert len(homes) < len(plan.offsets)
    views = {n.outputs[0]: n.inputs[0] for n in plan.graph.nodes if n.name not in {s.node.name for s in plan.steps}}
    offsets: dict[str, int] = {}
    end = 0
    for name in plan.offsets:
        root = name
        while root in views:
            root = views[root]
        if root not in offsets:
            offsets[root] = end
            end += plan.graph.type(root).bytes
        offsets[name] = offsets[root]
    steps = []
    for step in plan.steps:
        steps.append(dataclasses.replace(step, scratch_offset=end))
        end += step.call.scratch_bytes or 0
    return dataclasses.replace(plan, steps=tuple(steps), offsets=offsets, arena_bytes=end)


def test_every_kernel_on_every_case(rustc: None) -> None:
    plan, crate = every_case()
    assert len(plan.steps) > 100
    assert_equal(plan.graph, crate)


def test_steps_take_row_ranges(rustc: None) -> None:
    plan = apart(every_case()[0])
    assert_equal(plan.graph, in_parts(plan, rust.emit(plan), 3), 2)


def nearest() -> Plan:
    """A step for every case, operand and distance at which a result may begin before the operand: exactly there."""
    found: list[tuple[Trial, int, int]] = []
    by_name = {t.name: t for t in written()}
    for step in every_case()[0].steps:
        trial = by_name[step.node.name]
        for index in range(len(step.inputs)):
            for distance in distances(step, index):
                case = dataclasses.replace(trial.case, label=f"{trial.case.label}_{len(found)}")
                found.append((Trial(case, trial.kernel), index, distance))
    graph, fixed = together("nearest", [t for t, _, _ in found])
    plan = apart(make_plan(graph, FEATURES[rust.FEATURE_SET], kernels=fixed))
    offsets, end = dict(plan.offsets), plan.arena_bytes
    steps = {s.node.name: s for s in plan.steps}
    for t, index, distance in found:
        step = steps[t.name]
        out = end + max(-distance, 0)
        home = offsets[step.inputs[index]]
        offsets |= {name: out + distance for name, at in plan.offsets.items() if at == home}
        offsets[step.output] = out
        end = max(out + step.work.output.bytes, out + distance + plan.graph.type(step.inputs[index]).bytes)
    return dataclasses.replace(plan, offsets=offsets, arena_bytes=end)


def test_results_may_lie_over_operands_as_in_c(rustc: None) -> None:
    plan = nearest()
    over = {s.kernel.name for s in plan.steps for n in s.inputs if _meet(plan, n, s.output)}
    assert over >= {"add", "binary", "conv_scalar", "conv_direct", "depthwise_plane", "pool_maximum", "table"}
    assert_equal(plan.graph, rust.emit(plan), 3)


def _meet(plan: Plan, *names: str) -> bool:
    (a, a_bytes), (b, b_bytes) = ((plan.offsets[n], plan.graph.type(n).bytes) for n in names)
    return a < b + b_bytes and b < a + a_bytes


@pytest.mark.parametrize("seed", [3, 4])
def test_random_graphs(seed: int, rustc: None) -> None:
    graph = random_graph(seed, 14)
    assert_equal(graph, prepare_rust(graph))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 206))
def test_more_random_graphs_and_layers(seed: int, rustc: None) -> None:
    graph = random_graph(seed, 25)
    assert_equal(graph, prepare_rust(graph))
    plan, crate = every_case(seed)
    assert_equal(plan.graph, crate)


@pytest.mark.toolchain
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_real_models(model: str, shared: Path, rustc: None) -> None:
    result = verify(shared / "models" / f"{model}.tflite", runtimes=["host:rust"], count=20)
    assert [(r.where, r.differ) for r in result.rows] == [("interpreter", 0), ("host:rust", 0)]
    assert result.distinct > 10 and result.passes


def test_the_exported_crate_passes_its_own_test_and_the_test_can_fail(
    shared: Path, tmp_path: Path, cargo: str, capsys: pytest.CaptureFixture
) -> None:
    model = str(shared / "models" / "kws.tflite")
    assert main(["export", model, "--to", "rust", "--name", "Wake_Word", "--out", str(tmp_path)]) == 0
    folder = tmp_path / "wake_word"
    paths = {str(Path(p).relative_to(folder)) for p in capsys.readouterr().out.split()}
    assert paths >= {"Cargo.toml", "README.md", "src/lib.rs", "src/kernels/conv/scalar.rs", "tests/vectors.rs"}
    assert all((folder / p).is_file() for p in paths)
    result = _cargo_test(cargo, folder)
    assert result.returncode == 0, result.stderr
    assert "outputs_are_equal_to_the_last_bit ... ok" in result.stdout and "warning" not in result.stderr
    vectors = folder / "tests" / "vectors.rs"
    before, after = vectors.read_text().split("static OUTPUT", 1)
    vectors.write_text(before + "static OUTPUT" + re.sub(r"-128,", "-127,", after, count=1))
    result = _cargo_test(cargo, folder)
    assert result.returncode != 0 and "vector 0" in result.stdout + result.stderr


def _cargo_test(cargo: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [cargo, "test", "--offline", "--test", "vectors", "--target-dir", str(folder.parent / "built")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_sources_are_what_they_promise() -> None:
    files = every_case()[1].files
    code = {path: re.sub(r"//.*", "", text) for path, text in files.items() if path.endswith(".rs")}
    assert "#![no_std]" in code["src/lib.rs"] and "#![forbid(unsafe_code)]" in code["src/lib.rs"]
    for path, text in code.items():
        assert re.findall(r"\bunsafe\b|\bstd\b|\balloc\b|\bextern\b|\bVec\b|\bBox\b", text) == [], path
        assert path == "src/lib.rs" or not re.search(r"\bf32\b|\bf64\b", text), path
    for path, text in prepare_rust(random_graph(5, 12)).files.items():
        assert [line for line in text.splitlines() if len(line) > 120] == [], path
    assert 'rust-version = "1.63"' in files["Cargo.toml"] and "dependencies" not in files["Cargo.toml"]


def test_kernel_files_are_formatted(tmp_path: Path) -> None:
    if shutil.which("rustfmt") is None:
        pytest.skip("optional: rustfmt is missing")
    paths = []
    for name, text in every_case()[1].files.items():
        if name.startswith("src/kernels/"):
            paths.append(tmp_path / name.replace("/", "_"))
            paths[-1].write_text(text)
    paths = [p for p in paths if not p.name.endswith("mod.rs")]
    result = subprocess.run(["rustfmt", "--edition", "2021", "--check", *paths], capture_output=True, text=True)
    assert result.stdout == "" and result.returncode == 0


def test_two_emits_are_the_same_bytes_and_equal_layers_share_functions() -> None:
    b = GraphBuilder("twins")
    x = b.input("x", int8((1, 16), 0.1, 0))
    for _ in range(3):
        x = b.quantized(Relu(), [x], 0.1, 0)
    graph = b.build([x])
    crate = prepare_rust(graph)
    assert crate.files == prepare_rust(graph).files
    assert crate.files["src/steps.rs"].count("pub fn") == 1
    assert crate.files["src/constants.rs"].count("pub static") == 1
    assert crate.files["src/lib.rs"].count("steps::table_16_to_16(arena") == 3


def test_every_case_that_c_computes_has_a_rust_kernel_but_int16() -> None:
    served = {label(t.case) for t in written()}
    others = [t.case for t in trials(rust.FEATURE_SET) if label(t.case) not in served]
    assert {case.operands[0].type.dtype for case in others} == {DType.INT16}
    for case in {case.op.name: case for case in others}.values():
        with pytest.raises(UnsupportedError, match=f"no Rust kernel computes {case.op.name}"):
            rust.choose(from_case(case))


def test_ops_that_become_others(rustc: None) -> None:
    """Several outputs, and views: no kernel serves them as they are."""
    served = {t.case.op.name for t in written()}
    whole = [case for case in all_cases() if case.operands[0].type.dtype is not DType.INT16]
    cases = [case for case in whole if case.op.name not in served]
    assert {case.op.name for case in cases} == {"reshape", "split", "unpack"}
    b, outputs = GraphBuilder("others"), []
    for case in cases:
        name = f"{case.op.name}_{case.label}"
        outputs += b.node(case.op, [b.input(f"{name}_input", o.type) for o in case.operands], case.outputs, name)
    graph = b.build(outputs)
    assert_equal(graph, prepare_rust(graph))


def test_refusal_names_the_node_and_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    form = kernels.rust_form
    monkeypatch.setattr(kernels, "rust_form", lambda k: None if k.name == "table" else form(k))
    b = GraphBuilder("net")
    graph = b.build([b.quantized(Relu(), [b.input("x", int8((1, 4), 0.1, 0))], 0.1, 0, "bend")])
    with pytest.raises(UnsupportedError, match=r"no Rust kernel computes relu 'bend' \(1x4\).*export C or C\+\+"):
        export(graph, ["c", "rust"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_fit_rust() -> None:
    b = GraphBuilder("Odd__Names")
    x = b.input("Self", int8((1, 4), 0.1, 0))
    y = b.input("self", int8((1, 4), 0.1, 0))
    graph = b.build([b.quantized(Relu(), [v], 0.1, 0, name) for v, name in ((x, "Type"), (y, "type"))])
    crate = prepare_rust(graph)
    assert crate.name == "odd_names"
    assert [p.name for p in crate.inputs] == ["input_self", "input_self_2"]
    for name in ("type", "std", "Self"):
        with pytest.raises(InputError, match="choose another"):
            prepare_rust(graph, name)


def test_codes_of_reals_are_rounded_as_in_tflite(rustc: None, tmp_path: Path, rng: np.random.Generator) -> None:
    b = GraphBuilder("net")
    type = int8((1, 4), 0.37, -11)
    crate = prepare_rust(b.build([b.quantized(Relu(), [b.input("x", type)], 0.1, 0)]))
    ties = np.float32(type.scale) * np.arange(-260, 260, 0.5, np.float32)
    reals = np.concatenate([ties, rng.normal(0, 30, 500), [1e30, -1e30, np.inf, -np.inf, 0.0]]).astype(np.float32)
    scaled = reals / np.float32(type.scale)
    want = np.clip(np.trunc(scaled + np.copysign(0.5, scaled).astype(np.float64)) + type.zero_point, -128, 127)
    table = ", ".join(f"(0x{bits:08x}, {int(code)})" for bits, code in zip(reals.view(np.uint32), want, strict=True))
    check = (
        f"#[test]\nfn codes() {{\n    for (bits, code) in [{table}] as [(u32, i8); {len(reals)}] {{\n"
        "        assert_eq!(INPUT.quantize(f32::from_bits(bits)), code);\n    }\n"
        "    assert_eq!(INPUT.dequantize(-10), INPUT.scale);\n"
        "    assert_eq!(INPUT.quantize(f32::NAN), INPUT.zero_point as i8);\n}\n"
    )
    for path, text in {**crate.files, "src/lib.rs": crate.files["src/lib.rs"] + check}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    command = ["rustc", "--edition", "2021", "--test", "src/lib.rs", "-o", "checks"]
    subprocess.run(command, cwd=tmp_path, check=True)
    result = subprocess.run([tmp_path / "checks"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "1 passed" in result.stdout, result.stdout


def test_a_panic_and_a_missing_compiler_are_one_error(rustc: None, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(1, 3)
    crate = prepare_rust(graph)
    library = crate.files["src/lib.rs"].replace("    // ", '    panic!("on purpose"); //', 1)
    files = {**crate.files, "src/lib.rs": library}
    inputs = samples([graph.type(n) for n in graph.inputs], 0)[0]
    broken = RustModel(dataclasses.replace(crate, files=files))
    with broken, pytest.raises(EmulationError, match="on purpose"):
        broken.run(inputs)
    with RustModel(crate) as model, pytest.raises(ValueError, match="the crate takes"):
        model.run(inputs[:1])
    monkeypatch.setenv("RUSTC", "rustc-of-nowhere")
    with pytest.raises(ToolchainError, match="rustc-of-nowhere"):
        RustModel(crate, ("-C", "opt-level=0"))
