"""Does a language model fit a phone or a gateway, in which file, with which flags, and how fast will it be?"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import FormatError, InputError, UnsupportedError
from ..targets import hosts
from ..targets.hosts import Host
from . import architectures, blank, gguf, known, memory, mixes, quants
from .folder import open_folder
from .gguf.writer import TensorPlan
from .llamacpp import Flags
from .memory import Memory
from .shape import Rope, Shape

BY_QUALITY = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_k_s", "q4_0")
CONTEXTS = (8192, 4096, 2048, 1024, 512, 256)
# From the fastest and best to the most frugal: what each saves costs a little speed or precision.
TIERS = (
    Flags(),
    Flags(repack=False),
    Flags(repack=False, batch=64),
    Flags(repack=False, batch=64, cache="q8_0"),
)
COMFORT = 0.9  # of the usable memory: predictions are within a tenth of what was measured


@dataclass(frozen=True)
class Speed:
    """Tokens per second that a device will make, and between what."""

    predicted: float
    low: float
    high: float
    bound: str  # memory or arithmetic
    how: str
    source: str


@dataclass(frozen=True)
class Option:
    """One file type with the flags that make it fit, or with the most frugal ones where none does."""

    type: str
    flags: Flags
    memory: Memory
    speed: Speed
    fits: bool


@dataclass(frozen=True)
class Check:
    """A prediction against a measurement on this computer."""

    predicted_bytes: int
    measured_bytes: int
    process_bytes: int  # of the measuring program, before it loaded the model; not in measured_bytes

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted_bytes / self.measured_bytes - 1


@dataclass(frozen=True)
class FitResult:
    """The verdict for one model on one device."""

    model: str
    device: Host
    parameters: int
    context: int
    usable_bytes: int
    chosen: Option
    options: tuple[Option, ...]
    advice: tuple[str, ...]
    check: Check | None = None

    @property
    def fits(self) -> bool:
        return self.chosen.fits

    def to_json(self) -> dict[str, Any]:
        """As DESIGN has it; sizes in bytes."""
        o = self.chosen
        found: dict[str, Any] = {
            "schema": "ratti.llm.fit/1",
            "model": self.model,
            "device": self.device.id,
            "fits": self.fits,
            "type": o.type,
            "context": self.context,
            "flags": o.flags.line(),
            "parameters": self.parameters,
            "memory": {**asdict(o.memory), "total": o.memory.total, "usable": self.usable_bytes, "how": "estimated"},
            "tokens_per_s": asdict(o.speed),
            "options": [{"type": p.type, "flags": p.flags.line(), "total": p.memory.total, "fits": p.fits,
                         "tokens_per_s": p.speed.predicted} for p in self.options],
            "advice": list(self.advice),
        }
        if self.check is not None:
            found["check"] = {**asdict(self.check), "error": self.check.error, "how": "measured"}
        return found


def fit(model: str, device: str | Host, context: int = 2048, usable_bytes: int | None = None,
        type: str | None = None) -> FitResult:
    """Whether `model` fits `device` with `context` tokens, and the best file for it.

    Args:
        model: a known name (`known.SHAPES`), a Hugging Face folder or a .gguf file.
        usable_bytes: memory that the program gets; default: the device's, which is an estimate.
        type: this file type alone; default: the best that fits. A quantized .gguf has its own.

    Raises:
        InputError, FormatError, UnsupportedError: unknown model, device or type; a context longer than the model's.
    """
    host = device if isinstance(device, Host) else hosts.load(device)
    shape, given = _model(model)
    if not 1 <= context <= shape.context:
        raise InputError(f"a context of {context}: {model} takes 1 to {shape.context}")
    usable = usable_bytes or host.usable_bytes
    if given is not None and type is not None:
        raise InputError(f"{model} is quantized already; leave --type out")
    if given is not None:
        files = {_type_name(given): given}
    else:
        wanted = (mixes.load(type).name,) if type else BY_QUALITY
        files = {name: blank.plan(shape, mixes.load(name)) for name in wanted}
    options = tuple(_option(name, shape, tensors, host, context, usable) for name, tensors in files.items())
    roomy = (o for o in options if o.memory.total <= usable * COMFORT)
    chosen = next(roomy, None) or next((o for o in options if o.fits), options[-1])
    advice = _advice(chosen, options, shape, files, host, context, usable)
    parameters = architectures.load(shape.architecture).parameters(shape)
    return FitResult(model, host, parameters, context, usable, chosen, options, tuple(advice))


@dataclass(frozen=True)
class FitTable:
    """Several models on several devices, devices within a model."""

    rows: tuple[FitResult, ...]

    def to_json(self) -> dict[str, Any]:
        return {"schema": "ratti.llm.fits/1", "rows": [r.to_json() for r in self.rows]}


def table(models: Sequence[str], devices: Sequence[str], context: int = 2048, usable_bytes: int | None = None,
          type: str | None = None) -> FitTable:
    """`fit` for each of `models` on each of `devices`. InputError where none is named, and as `fit`."""
    if not models or not devices:
        raise InputError("name at least one model and one device")
    return FitTable(tuple(fit(m, d, context, usable_bytes, type) for m in models for d in devices))


def check(result: FitResult) -> FitResult:
    """Writes a full-size file of random blocks, runs it here with the chosen flags and measures the peak.

    The prediction is made for this computer's processor, which repacks other types than the device's.
    """
    from .measure import measure

    shape, _ = _model(result.model)
    flags = replace(result.chosen.flags, threads=1)
    mix = mixes.load(result.chosen.type)
    predicted = memory.memory(shape, blank.plan(shape, mix), flags, _own_extensions())
    with tempfile.TemporaryDirectory(prefix="ratti-") as place:
        path = Path(place) / "random.gguf"
        blank.write(path, shape, mix.name)
        found = measure(path, flags, prompt=min(flags.batch, flags.context - 2), generate=1)
    own = found.peak_rss_bytes - found.process_bytes
    return replace(result, check=Check(predicted.total, own, found.process_bytes))


def speed(shape: Shape, tensors: Sequence[TensorPlan], kv: int, host: Host) -> Speed:
    """1 / max(bytes read / bandwidth, 2 x weights multiplied / int8 throughput)."""
    weights = sum(t.shape[0] * t.shape[1] for t in tensors if len(t.shape) > 1 and t.name != "token_embd.weight")
    if shape.tied:
        weights += shape.vocabulary * shape.hidden
    reading = memory.read_bytes(tensors, kv) / host.bandwidth_bytes_per_s
    computing = 2 * weights / host.int8_ops_per_s
    bound = "memory" if reading >= computing else "arithmetic"
    number = "bandwidth_bytes_per_s" if bound == "memory" else "int8_ops_per_s"
    predicted = 1 / max(reading, computing)
    return Speed(predicted, predicted / host.speed_error, predicted * host.speed_error, bound, "estimated",
                 host.source(number))


def _option(name: str, shape: Shape, tensors: Sequence[TensorPlan], host: Host, context: int, usable: int) -> Option:
    for tier in TIERS:
        flags = replace(tier, context=context)
        found = memory.memory(shape, tensors, flags, host.extensions)
        if found.total <= usable:
            break
    return Option(name, flags, found, speed(shape, tensors, found.kv, host), found.total <= usable)


def _advice(chosen: Option, options: Sequence[Option], shape: Shape, files: dict[str, list[TensorPlan]], host: Host,
            context: int, usable: int) -> list[str]:
    lines = []
    if chosen.fits:
        lines.append(f"llama-cli -m MODEL-{chosen.type}.gguf {chosen.flags.line()}")
        faster = max((o for o in options if o.fits), key=lambda o: o.speed.predicted)
        if faster.speed.predicted > 1.15 * chosen.speed.predicted:
            lines.append(f"{faster.type} is {faster.speed.predicted / chosen.speed.predicted:.1f} times faster "
                         f"({faster.speed.predicted:.1f} tokens/s) at less precision")
        longer = _longest(shape, files[chosen.type], host, usable)
        if longer > context:
            lines.append(f"a context of {longer} fits, too, with frugal flags")
        if not chosen.flags.repack and host.extensions:
            lines.append("--no-repack gives up the faster kernels, mostly when reading a prompt: their second copy of "
                         "the weights does not fit")
        return lines
    least = min(options, key=lambda o: o.memory.total)
    lines.append(f"even {least.type} with the most frugal flags takes {_mib(least.memory.total)}, "
                 f"{_mib(least.memory.total - usable)} too much")
    longest = _longest(shape, files[least.type], host, usable)
    if longest:
        lines.append(f"{least.type} fits with a context of {longest}")
    else:
        roomy = [h for h in map(hosts.load, hosts.ids()) if h.usable_bytes >= least.memory.total]
        names = ", ".join(h.id for h in sorted(roomy, key=lambda h: h.usable_bytes)[:3])
        lines.append(f"devices with room: {names}" if names else "no device known here has room for it")
    lines.append("give --usable SIZE where you know what your device leaves to a program")
    return lines


def _longest(shape: Shape, tensors: Sequence[TensorPlan], host: Host, usable: int) -> int:
    """The longest usual context that fits with the most frugal flags, or 0."""
    for context in CONTEXTS:
        flags = Flags(context=context, batch=64, cache="q8_0", repack=False)
        if context <= shape.context and memory.memory(shape, tensors, flags, host.extensions).total <= usable:
            return context
    return 0


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _model(model: str) -> tuple[Shape, list[TensorPlan] | None]:
    """The shape, and the tensors where the model is a quantized file."""
    if model.endswith(".gguf"):
        return _gguf(Path(model))
    if Path(model).is_dir():
        return open_folder(Path(model)).shape, None
    return known.shape(model), None


def _gguf(path: Path) -> tuple[Shape, list[TensorPlan] | None]:
    file = gguf.open_gguf(path)
    name = file.get("general.architecture", "")
    if name not in architectures.ids():
        raise UnsupportedError(f"{path}: architecture '{name}'; known: {', '.join(architectures.ids())}")
    kinds = [quants.by_id(t.type) for t in file.tensors]
    plans = [TensorPlan(t.name, t.shape, k) for t, k in zip(file.tensors, kinds, strict=True) if k is not None]
    if len(plans) < len(kinds):
        raise UnsupportedError(f"{path}: holds block types that are not known here; known: {', '.join(quants.ids())}")
    shapes = {t.name: t.shape for t in file.tensors}
    try:
        heads = int(file.get("{arch}.attention.head_count"))
        hidden = int(file.get("{arch}.embedding_length"))
        context = int(file.get("{arch}.context_length"))
        shape = Shape(
            name, shapes["token_embd.weight"][0], hidden, int(file.get("{arch}.block_count")), heads,
            int(file.get("{arch}.attention.head_count_kv", heads)),
            int(file.get("{arch}.attention.key_length", hidden // heads)),
            int(file.get("{arch}.feed_forward_length")), context, Rope(original_context=context),
            tied="output.weight" not in shapes)
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise FormatError(f"{path}: its metadata lacks a size, or has a wrong one ({error})") from None
    is_float = all(p.type.name in ("F32", "F16", "BF16") for p in plans)
    return shape, None if is_float else plans


def _type_name(tensors: Sequence[TensorPlan]) -> str:
    """What to call a file: the type of most of its weights."""
    size: dict[str, int] = {}
    for t in tensors:
        size[t.type.name] = size.get(t.type.name, 0) + t.bytes
    return max(size, key=lambda k: size[k]).lower()


def _own_extensions() -> tuple[str, ...]:
    """What this computer's processor has, of `memory.REPACKED`."""
    info = Path("/proc/cpuinfo")
    words = set(info.read_text().split()) if info.exists() else set()
    if platform.machine() in ("aarch64", "arm64"):
        return ("dotprod",) if "asimddp" in words or not words else ()
    return ("avx2",) if "avx2" in words else ()
