"""`ratti llm`: language models on phones and gateways."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..units import size
from ._common import names, show_as, whole

HELP = "language models on phones and gateways: fit, convert, quantize, bench, train, run"


def arguments(parser: argparse.ArgumentParser) -> None:
    children = parser.add_subparsers(dest="what", metavar="WHAT", title="what", required=True)
    for name, (about, declare, act) in SUB_VERBS.items():
        sub = children.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        declare(sub)
        sub.set_defaults(act=act)


def run(arguments: argparse.Namespace) -> int:
    return int(arguments.act(arguments))


def _say(arguments: argparse.Namespace) -> Callable[[str], None]:
    return lambda line: None if arguments.quiet else print(line, file=sys.stderr, flush=True)


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _path(text: str | None) -> Path | None:
    return Path(text) if text is not None else None


def _fit_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="MODEL,MODEL",
                   help="tinyllama-1.1b, phi-3-mini-4k, a Hugging Face folder or a .gguf; of several, a table")
    p.add_argument("--target", required=True, metavar="ID,ID",
                   help="the device (ratti targets lists phones and gateways); of several, a table")
    p.add_argument("--context", type=whole(1), default=2048, metavar="N", help="tokens of context (default 2048)")
    p.add_argument("--usable", metavar="SIZE", help="memory that a program gets, such as 1.2GiB (default: an estimate)")
    p.add_argument("--type", metavar="TYPE", help="this file type alone, such as q4_k_m (default: the best that fits)")
    p.add_argument("--measure", action="store_true", help="run a full-size file of random blocks here and compare")
    _output(p)


def _fit(a: argparse.Namespace) -> int:
    from ..llm import fit
    from ..report import llm as tables

    models, targets = names(a.model), names(a.target)
    usable = size(a.usable) if a.usable else None
    if len(models) * len(targets) != 1:
        if a.measure:
            raise InputError("--measure takes one model and one device")
        table = fit.table(models, targets, a.context, usable, a.type)
        show_as(table, a.json, tables.fits)
        return 0 if all(r.fits for r in table.rows) else 1
    result = fit.fit(a.model, a.target, a.context, usable, a.type)
    if a.measure:
        _say(a)("writing a file of random blocks and running it")
        result = fit.check(result)
    show_as(result, a.json, tables.fit)
    return 0 if result.fits else 1


def _convert_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("folder", metavar="FOLDER", help="a Hugging Face folder: config.json, safetensors, a tokenizer")
    p.add_argument("--type", default="auto", choices=("auto", "f32", "f16", "bf16"), help="default: as it is stored")
    p.add_argument("--out", metavar="FILE", help="the .gguf to write (default: beside the folder)")
    _output(p)


def _convert(a: argparse.Namespace) -> int:
    from ..llm.convert import convert
    from ..report import llm as tables

    show_as(convert(Path(a.folder), _path(a.out), a.type, not a.quiet), a.json, tables.converted)
    return 0


def _quantize_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="MODEL", help="a float .gguf; for exl2, a Hugging Face folder")
    p.add_argument("--type", default="q4_k_m", help="q4_0, q8_0, q4_k_s, q4_k_m (default), q5_k_m, q6_k, or exl2")
    p.add_argument("--out", metavar="PATH", help="the file to write, for exl2 the folder (default: beside MODEL)")
    p.add_argument("--calibrate", metavar="TEXT", help="text that weighs errors by what the model sees; exl2 needs it")
    p.add_argument("--folder", metavar="FOLDER", help="the model's Hugging Face folder, to calibrate a .gguf")
    p.add_argument("--engine", default="auto", choices=("auto", "own", "llama.cpp"), help="whose quantizer")
    p.add_argument("--bits", type=float, default=4.0, metavar="B", help="exl2: average bits a weight (default 4)")
    p.add_argument("--threads", type=whole(0), default=0, metavar="N", help="default: all cores")
    _output(p)


def _quantize(a: argparse.Namespace) -> int:
    from ..report import llm as tables

    if a.type.lower() == "exl2":
        from ..llm.exl2.quantize import quantize as to_exl2

        if not a.calibrate:
            raise InputError("exl2 is fitted to activations: give a text with --calibrate")
        show_as(to_exl2(Path(a.model), Path(a.calibrate), a.bits, _path(a.out), say=_say(a)), a.json, tables.exl2)
        return 0
    from ..llm.quantize import quantize

    importance = None
    if a.calibrate:
        from ..llm import importance as importances

        if not a.folder:
            raise InputError("--calibrate runs the model in floats: give its Hugging Face folder with --folder")
        _say(a)("measuring activations")
        importance = importances.measure(Path(a.folder), Path(a.calibrate))
    show_as(quantize(Path(a.model), a.type, _path(a.out), importance=importance, engine=a.engine, threads=a.threads,
                     progress=not a.quiet), a.json, tables.quantized)
    return 0


def _bench_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", nargs="+", metavar="MODEL", help="a .gguf or several; or a Hugging Face folder")
    p.add_argument("--types", default="", metavar="TYPE,TYPE", help="make these of the model, and measure each")
    p.add_argument("--text", metavar="FILE", help="measure perplexity on this text")
    p.add_argument("--window", type=whole(16), default=256, metavar="N", help="context of perplexity (default 256)")
    p.add_argument("--threads", type=whole(0), default=0, metavar="N", help="default: all cores")
    _output(p)


def _bench(a: argparse.Namespace) -> int:
    from ..llm.bench import bench
    from ..llm.llamacpp import Flags
    from ..report import llm as tables

    flags = Flags(context=max(a.window, 128), threads=a.threads)
    result = bench([Path(m) for m in a.model], names(a.types), _path(a.text), flags, a.window, _say(a))
    show_as(result, a.json, tables.bench)
    return 0


def _train_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("text", metavar="TEXT", help="a text in UTF-8; an empty line parts documents")
    p.add_argument("--out", required=True, metavar="DIR", help="the folder to make; an interrupted run goes on there")
    p.add_argument("--architecture", default="llama", choices=("llama", "phi3"))
    for name, about in (("vocabulary", "tokens"), ("hidden", "width, a multiple of 256"), ("layers", "depth"),
                        ("heads", "attention heads"), ("kv-heads", "key-value heads"),
                        ("feed-forward", "width inside, a multiple of 256"), ("context", "tokens of a sample"),
                        ("epochs", "of --steps-per-epoch steps"), ("steps-per-epoch", "steps"),
                        ("batch", "samples a step"), ("seed", "of weights and order")):
        p.add_argument(f"--{name}", type=whole(0), default=None, metavar="N", help=about)
    p.add_argument("--learning-rate", type=float, default=None, metavar="R")
    p.add_argument("--distillation", type=float, default=None, metavar="S", help="teacher's share of the loss (0.8)")
    p.add_argument("--tied", action="store_true", default=None, help="the output matrix is the embedding")
    p.add_argument("--teacher", metavar="DIR", help="learn from this model's predictions, too; its tokenizer is used")
    p.add_argument("--from", dest="initial", metavar="DIR", help="start from this model of the same shape")
    p.add_argument("--quantization-aware", action="store_true", default=None, help="round to Q4_0 while training")
    _output(p)


def _train(a: argparse.Namespace) -> int:
    from ..llm.train import LanguageConfig, train
    from ..report import llm as tables

    fields = {f.name for f in dataclasses.fields(LanguageConfig)}
    given = {k: v for k, v in vars(a).items() if k in fields and v is not None}
    result = train(Path(a.text), LanguageConfig(**given), Path(a.out), teacher=_path(a.teacher),
                   initial=_path(a.initial), progress=not a.quiet)
    show_as(result, a.json, tables.trained)
    return 0


def _run_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="MODEL.gguf")
    p.add_argument("prompt", nargs="?", help="what to answer or continue (default: a conversation, line by line)")
    p.add_argument("--context", type=whole(16), default=2048, metavar="N", help="tokens of context (default 2048)")
    p.add_argument("--tokens", type=whole(1), default=256, metavar="N", help="at most so many (default 256)")
    p.add_argument("--temperature", type=float, default=0.8, metavar="T", help="0 takes the likeliest (default 0.8)")
    p.add_argument("--seed", type=whole(0), default=0, metavar="N")
    p.add_argument("--threads", type=whole(0), default=0, metavar="N", help="default: all cores")


def _run(a: argparse.Namespace) -> int:
    from ..llm.llamacpp import Engine, Flags
    from ..llm.run import Chat, Sampling

    sampling = Sampling(a.tokens, a.temperature, seed=a.seed)
    with Engine(Path(a.model), Flags(context=a.context, threads=a.threads)) as engine:
        chat = Chat(engine, sampling)
        for message in [a.prompt] if a.prompt is not None else _lines():
            for piece in chat.say(message):
                print(piece, end="", flush=True)
            print()
    return 0


def _lines() -> Any:
    """Lines from standard input, with a prompt where a person types."""
    while True:
        if sys.stdin.isatty():
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.rstrip("\n")


SUB_VERBS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]] = {
    "fit": ("does MODEL fit a phone or a gateway: memory, speed, the best file and flags", _fit_arguments, _fit),
    "convert": ("a Hugging Face folder to GGUF", _convert_arguments, _convert),
    "quantize": ("a float model to 4 to 8 bits: K-quants, or EXL2 for GPU gateways", _quantize_arguments, _quantize),
    "bench": ("perplexity, speed and memory of GGUF files here", _bench_arguments, _bench),
    "train": ("a small model of your own from a text, with its own tokenizer", _train_arguments, _train),
    "run": ("chat with a .gguf, or let it continue a text", _run_arguments, _run),
}
