"""A progress bar with the time left, on stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from .state import Epoch


@contextlib.contextmanager
def bar(epochs: int, done: int, show: bool) -> Iterator[Callable[[Epoch, int], None]]:
    """Yields what to call after each epoch with its record and the number of the best one so far."""
    if not show:
        yield lambda epoch, best: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs, left"),
               TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=epochs, completed=done, note="")

        def advance(epoch: Epoch, best: int) -> None:
            note = f"loss {epoch.train_loss:.3f}, validation {epoch.val_accuracy:.1%} (best: epoch {best})"
            progress.update(task, advance=1, note=note)

        yield advance
