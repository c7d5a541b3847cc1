"""What a caller may ask of a loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..features import FrontEnd


@dataclass(frozen=True)
class Options:
    """Size, shares and seed of a data set; the defaults serve.

    `size` (H, W) and `channels` are what the net takes; None keeps the source's own. `resolution` is the number in a
    net's id, where no size is known: pictures become squares of it, spectrograms get so many frames, windows so many
    segments. Without either a folder of pictures takes 96x96 RGB. `front_end` ({"name": …} and its settings, or one
    that is made) stands between sensor and net; None: log-mel spectrograms of sound, everything else as it is.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None  # of pictures 1 (gray) or 3 (RGB)
    resolution: int | None = None
    front_end: Mapping[str, Any] | FrontEnd | None = None
    val_share: float = 0.15  # of train, by group
    test_share: float = 0.2  # of everything, by group, where the source has no test part of its own
    seed: int = 0
    seconds: float = 1.0  # of a recording
    window: int | None = None  # rows of a table that are one sample; None: the net's, or all of the shortest table
    hop: int | None = None  # rows from one window to the next; None: a window's
    hold_out: str | None = None  # the group (speaker) that is the test part, where a source can hold one out
    goal: str | None = None  # a module of `goals`; None: what the source is made for, mostly to classify
    max_bad_share: float = 0.0  # more unreadable files than this share are an error; fewer are left out, and named

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"a size must be at least 1x1, not {self.size}")
        if self.channels is not None and self.channels < 1:
            raise ValueError(f"channels must be at least 1, not {self.channels}")
        for name in ("window", "hop", "resolution"):
            if (getattr(self, name) or 1) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.seconds <= 60:
            raise ValueError(f"seconds must be above 0 and at most 60, not {self.seconds}")
        for name in ("val_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.max_bad_share <= 1:
            raise ValueError(f"max_bad_share must be 0 to 1, not {self.max_bad_share}")
