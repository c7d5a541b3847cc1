"""A progress bar over bytes on stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(what: str, total: int, show: bool) -> Iterator[Callable[[int, str], None]]:
    """Yields what to call with the bytes done and a name."""
    if not show:
        yield lambda done, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TextColumn("left"), TimeRemainingColumn(),
               TextColumn("{task.fields[name]}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, name="")
        yield lambda done, name: progress.update(task, advance=done, name=name)
