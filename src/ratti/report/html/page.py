"""From a run's files to its page."""

from __future__ import annotations

from pathlib import Path

from ... import registry, targets
from ...errors import InputError
from . import kinds
from .markup import Child, Markup, join, tag
from .runs import FILE, Json, Model, Run, read_json
from .sections.accuracy import accuracy
from .sections.compression import compression
from .sections.energy import energy
from .sections.front import front
from .sections.front_end import front_end
from .sections.layers import layers
from .sections.memory import memory
from .sections.origins import colophon, origins
from .sections.roofline import roofline
from .sections.verdict import totals, verdict

HERE = Path(__file__).parent
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError, OverflowError)


def read(path: Path) -> Run:
    """The run in a folder or a JSON file. InputError where it is none that a page can show."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        what = f"has no {FILE}" if path.is_dir() else "not found"
        raise InputError(f"'{path}' {what}: give the folder of a build, a bundle, a compression or a search, or a file "
                         "from `ratti check --json`")
    content = read_json(file)
    known = {registry.load(kinds.__name__, name).SCHEMA: name for name in registry.modules(kinds.__name__)}
    schema = content.get("schema")
    if not isinstance(schema, str) or schema not in known:
        raise InputError(f"'{file}': schema {schema!r} is none that a report is made of: {', '.join(sorted(known))}")
    try:
        found: Run = registry.load(kinds.__name__, known[schema]).run(content, file.parent)
    except DAMAGED as error:
        raise _damaged(file, error) from None
    return found


def render(run: Run, source: Path) -> str:
    """The page of `run`, which was read from `source`. InputError where the run's files are damaged."""
    try:
        body = _body(run)
    except InputError:
        raise
    except DAMAGED as error:
        raise _damaged(source, error) from None
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{run.title} · ratti"),
        tag("style", Markup(style)),
    )
    tip = tag("div", id="tip", role="tooltip", hidden=True)
    page = tag("html", head, tag("body", tag("main", body), tip, tag("script", Markup(script))), lang="en")
    return f"<!doctype html>\n{page}\n"


def _body(run: Run) -> Markup:
    tested = run.data["test"] if run.data else None
    return join(
        tag("header", tag("p", f"ratti {run.verb}", class_="dim"), tag("h1", run.title), _about(run), class_="top"),
        front(run),
        verdict(run) if run.models else None,
        compression(run),
        [_model(m, model, tested, len(run.models) > 1) for m, model in enumerate(run.models)],
        colophon(run),
    )


def _about(run: Run) -> Markup:
    data = run.data
    if data is None:
        return join()
    parts = f"{data['train']:,} samples to train, {data['val']:,} to validate, {data['test']:,} to test"
    return tag("p", f"{len(data['classes'])} classes from {data['source']}: {parts}.")


def _model(number: int, model: Model, tested: int | None, several: bool) -> Markup:
    """A net: its accuracy, then each device, the first one open."""
    title = tag("h2", model.name, tag("small", _size(model))) if several or model.result else None
    devices = [_device(f"d{number}-{k}", check, k == 0, model.result) for k, check in enumerate(model.checks)]
    return tag("article", title, accuracy(model, tested), devices)


def _size(model: Model) -> str:
    result = model.result
    return "" if result is None else f"{result['parameters']:,} parameters, {result['macs']:,} MACs"


def _device(anchor: str, check: Json, is_open: bool, result: Json | None) -> Markup:
    device = targets.load(check["target"])
    fits, sums = bool(check["fits"]), totals(check)
    about: list[Child] = [tag("strong", device.name), tag("span", "fits" if fits else "does not fit",
                                                          class_=f"pill {'yes' if fits else 'no'}")]
    work = sums["instructions"]
    about.append(tag("span", f"{sums['ram']:,} B RAM, {sums['flash']:,} B flash"
                             + (f", {work:,} instructions" if work is not None else ""), class_="dim"))
    advice = [tag("p", f"→ {line}", class_="advice") for line in check.get("advice", ())]
    parts = (advice, front_end(check), memory(check), layers(check), roofline(check), energy(check, result),
             origins(check))
    return tag("details", tag("summary", about), parts, id=anchor, open=is_open)


def _damaged(file: Path, error: Exception) -> InputError:
    return InputError(f"'{file}' is damaged: {type(error).__name__}: {str(error)[:200]}; make it again")
