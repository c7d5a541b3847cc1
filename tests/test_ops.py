"""Every op in the registry against its cases: tflite-micro to the last bit, plain loops in float, files and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cases import all_cases, label, samples
from meanings import MEANINGS
from ratti import ops
from ratti.errors import UnsupportedError
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.batch import with_batch
from ratti.graph.builder import from_case
from ratti.ops.base import Activation, Case, Operand, int8
from ratti.ops.softmax import MOST_CLASSES, Softmax
from ratti.types import Array, DType, Quant, TensorType

CASES = all_cases()
each_case = pytest.mark.parametrize("case", CASES, ids=label)


def outputs(case: Case, inputs: list[list[Array]]) -> list[list[Array]]:
    graph = from_case(case)
    return [list(interpreter.run(graph, x).values()) for x in inputs]


def assert_equal(got: Sequence[Array], want: Sequence[Array]) -> None:
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


def activations(case: Case) -> list[TensorType]:
    return [o.type for o in case.operands if o.data is None]


@pytest.mark.oracle
@each_case
def test_interpreter_equals_tflite_micro(case: Case) -> None:
    from ratti.runtimes.tflm import Session

    graph, inputs = from_case(case), samples(activations(case), 24)
    session = Session(graph)
    for x, y in zip(inputs, outputs(case, inputs), strict=True):
        assert_equal(session.run(x), y)


@each_case
def test_cases_are_worth_testing(case: Case) -> None:
    """Outputs take three values or more, and change with the input."""
    for results in zip(*outputs(case, samples(activations(case))), strict=True):
        assert len(np.unique(results)) >= 3
        assert len({r.tobytes() for r in results}) >= 3


@each_case
def test_shapes_and_types_are_those_declared(case: Case) -> None:
    results = case.op.evaluate(
        [np.zeros(o.type.shape, o.type.dtype.numpy) if o.data is None else o.data for o in case.operands],
        [o.type for o in case.operands],
        case.outputs,
    )
    assert [(r.shape, r.dtype) for r in results] == [(t.shape, t.dtype.numpy) for t in case.outputs]
    assert case.op.macs([o.type for o in case.operands], case.outputs) >= 0


@each_case
def test_files_keep_cases(case: Case) -> None:
    graph = from_case(case)
    again = tflite.parse(tflite.serialize(graph), graph.name)
    assert [graph.type(n) for n in (*graph.inputs, *graph.outputs)] == [
        again.type(n) for n in (*again.inputs, *again.outputs)
    ]
    assert graph.macs() == again.macs()
    for x in samples(activations(case)):
        first, second = interpreter.run(graph, x), interpreter.run(again, x)
        assert_equal(list(first.values()), list(second.values()))


@each_case
def test_batches_equal_single_samples(case: Case) -> None:
    graph, inputs = from_case(case), samples(activations(case))
    batch = [np.concatenate(column) for column in zip(*inputs, strict=True)]
    singles = [np.concatenate(column) for column in zip(*outputs(case, inputs), strict=True)]
    assert_equal(interpreter.run_batch(graph, batch), singles)
    assert with_batch(graph, 3).type(graph.outputs[0]).shape[0] == 3 * case.outputs[0].shape[0]


@pytest.mark.oracle
@each_case
def test_batched_graphs_equal_tflite_micro(case: Case) -> None:
    from ratti.runtimes.tflm import Session

    graph = with_batch(from_case(case), 2)
    session = Session(graph)
    for x in samples([graph.type(n) for n in graph.inputs], 2):
        assert_equal(session.run(x), list(interpreter.run(graph, x).values()))


@each_case
def test_float_meaning_equals_plain_loops(case: Case, rng: np.random.Generator) -> None:
    real = as_float(case, rng)
    arrays = [rng.normal(0, 3, o.type.shape).astype(np.float32) if o.data is None else o.data for o in real.operands]
    results = real.op.evaluate(arrays, [o.type for o in real.operands], real.outputs)
    want = MEANINGS[case.op.name](real.op, *(a.astype(np.float64) for a in arrays))
    for result, type, meant in zip(results, real.outputs, want if isinstance(want, list) else [want], strict=True):
        assert result.dtype == type.dtype.numpy
        np.testing.assert_allclose(result, meant.reshape(result.shape), rtol=1e-5, atol=1e-5)


@each_case
def test_int8_is_close_to_float(case: Case) -> None:
    """Integers stay within two steps of the output's scale of the float meaning on the same real values; those of int16
    curves, which are straight lines between few entries, within sixteen.
    """
    curve = case.op.name in ("logistic", "tanh", "softmax") and case.outputs[0].dtype is DType.INT16
    real = as_float(case, None)
    for x in samples(activations(case), 2):
        codes = iter(x)
        arrays = [next(codes) if o.data is None else o.data for o in case.operands]
        reals = [dequantize(a, o.type, r) for a, o, r in zip(arrays, case.operands, real.operands, strict=True)]
        wants = real.op.evaluate(reals, [o.type for o in real.operands], real.outputs)
        results = case.op.evaluate(arrays, [o.type for o in case.operands], case.outputs)
        for want, got, out in zip(wants, results, case.outputs, strict=True):
            if out.quant is None:  # indices
                np.testing.assert_array_equal(got, want)
                continue
            low, high = ((c - out.zero_point) * out.scale for c in out.dtype.limits)
            error = (got.astype(np.float64) - out.zero_point) * out.scale - np.clip(want, low, high)
            assert np.abs(error).max() <= (16 if curve else 2) * out.scale


def as_float(case: Case, rng: np.random.Generator | None) -> Case:
    """The case with float types; constants keep their real values (with `rng`, take new ones)."""
    operands = []
    for o in case.operands:
        type = TensorType(o.type.shape, DType.FLOAT32)
        data = None
        if o.data is not None:
            data = rng.normal(0, 1, type.shape).astype(np.float32) if rng else dequantize(o.data, o.type, o)
        operands.append(Operand(type, data))
    outputs = tuple(t if t.quant is None else TensorType(t.shape, DType.FLOAT32) for t in case.outputs)
    return Case(case.label, case.op, tuple(operands), outputs)


def dequantize(codes: Array, type: TensorType, operand: Operand) -> Array:
    assert type.quant is not None
    scale = np.array(type.quant.scale)
    if type.quant.axis is not None:
        scale = scale.reshape([-1 if d == type.quant.axis else 1 for d in range(codes.ndim)])
        return (codes * scale).astype(np.float32)
    return ((codes.astype(np.float64) - type.quant.scalar[1]) * scale).astype(np.float32)


def test_every_op_has_a_meaning_a_code_and_cases() -> None:
    assert set(MEANINGS) == set(ops.names())
    codes = [code for n in ops.names() for code in (ops.get(n).tflite_code, *ops.get(n).tflite_aliases)]
    assert len(ops.by_tflite_code()) == len(codes)
    assert {c.op.name for c in CASES} == set(ops.names())
    for name in ops.names():
        labels = [c.label for c in CASES if c.op.name == name]
        assert len(set(labels)) == len(labels)
        assert all(c.holds.__doc__ for c in ops.get(name).constraints)


@each_case
def test_other_element_types_are_refused(case: Case) -> None:
    """int16 and uint8 mean something else in TFLite: they must not pass for int8."""
    for dtype in (DType.INT16, DType.UINT8, DType.INT32):
        if dtype is case.operands[0].type.dtype:
            continue
        first = replace(case.operands[0].type, dtype=dtype)
        text = case.op.check((Operand(first), *case.operands[1:]), case.outputs)
        assert text is not None and "int8" in text
    bare = replace(case.operands[0].type, quant=None)
    assert case.op.check((Operand(bare), *case.operands[1:]), case.outputs) is not None


@pytest.mark.parametrize("zero_point", [-128, -100, 0, 127])
@pytest.mark.parametrize("scale", [1e-38, 1e-4, 0.0235, 0.5, 3e38])
def test_activation_ranges_stay_in_int8(scale: float, zero_point: int) -> None:
    type = int8((1,), scale, zero_point)
    for activation in Activation:
        low, high = activation.code_range(type)
        assert -128 <= low <= high <= 127
        real_low, real_high = activation.real_range
        assert low == -128 or real_low == (low - zero_point) == 0 or low > -128
        assert real_high == np.inf or high <= max(zero_point + round(real_high / scale) + 1, -128)


def test_softmax_at_its_limits() -> None:
    quant = Quant.per_tensor(0.1, 0)
    type, out = TensorType((1, MOST_CLASSES), DType.INT8, quant), int8((1, MOST_CLASSES), 1 / 256, -128)
    (flat,) = Softmax().evaluate([np.zeros(type.shape, np.int8)], [type], [out])
    assert np.unique(flat).tolist() == [-128]  # 1/4095 rounds to no step of 1/256
    wider = replace(type, shape=(1, MOST_CLASSES + 1))
    assert "4095" in str(Softmax().check([Operand(wider)], [replace(out, shape=wider.shape)]))
    for scale, beta in ((1e-9, 1.0), (0.1, 0.0), (0.1, -1.0), (0.1, float("nan")), (1e9, 1.0)):
        small = replace(type, quant=Quant.per_tensor(scale, 0))
        assert Softmax(beta).check([Operand(small)], [out]) is not None


def test_constraints_name_what_is_wrong() -> None:
    conv = next(c for c in CASES if label(c) == "conv2d-k3_same")
    x, weight, bias = conv.operands
    assert bias.data is not None and weight.data is not None and weight.type.quant is not None
    wrong = {
        "constants": (x, Operand(weight.type), bias),
        "one value for each output channel": (
            x,
            weight,
            Operand(replace(bias.type, shape=(3,), quant=None), bias.data[:3]),
        ),
        "symmetric": (x, Operand(replace(weight.type, quant=Quant.per_tensor(0.1, 1)), weight.data), bias),
        "bias int32": (x, weight, Operand(replace(bias.type, dtype=DType.INT64), bias.data.astype(np.int64))),
        "one for each": (
            x,
            Operand(replace(weight.type, quant=Quant.per_channel(np.ones(weight.type.shape[3]), 3)), weight.data),
            bias,
        ),
    }
    for text, operands in wrong.items():
        assert text in str(conv.op.check(operands, conv.outputs))
    assert conv.op.check(conv.operands, conv.outputs) is None


@pytest.mark.parametrize(
    "change",
    [{"stride": (0, 1)}, {"stride": (1, -1)}, {"dilation": (0, 1)}, {"dilation": (1 << 21, 1)}, {"groups": 3}],
    ids=str,
)
def test_bad_geometry_is_refused(change: dict[str, object]) -> None:
    conv = next(c for c in CASES if label(c) == "conv2d-k3_same")
    with pytest.raises(UnsupportedError, match="conv2d"):
        from_case(replace(conv, op=replace(conv.op, **change)))
