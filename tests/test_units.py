"""Sizes, times and energies as people write them."""

from __future__ import annotations

import pytest

from ratti.errors import InputError
from ratti.units import microjoules, milliseconds, size


@pytest.mark.parametrize("text, want", [
    ("1", 1), ("65536", 65536), ("64K", 65536), ("64KB", 65536), ("64KiB", 65536), (" 64 kib ", 65536),
    ("0.5MiB", 1 << 19), (".5k", 512), ("1e3", 1000), ("2M", 2 << 20),
])
def test_sizes(text: str, want: int) -> None:
    assert size(text) == want


@pytest.mark.parametrize("text, want", [("50ms", 50), ("50", 50), ("0.2s", 200), ("1500us", 1.5), ("1500µs", 1.5)])
def test_times(text: str, want: float) -> None:
    assert milliseconds(text) == pytest.approx(want)


@pytest.mark.parametrize("text, want", [("200uJ", 200), ("200", 200), ("1.5mJ", 1500), ("2e-3 J", 2000), ("3µJ", 3)])
def test_energies(text: str, want: float) -> None:
    assert microjoules(text) == pytest.approx(want)


@pytest.mark.parametrize("read", [size, milliseconds, microjoules])
@pytest.mark.parametrize("text", [
    "", " ", "x", "64 parsecs", "64KiBB", "nan", "inf", "-inf", "1e999", "1e999K", "0", "0.0", "-5", "-1e3", "1,5",
    "1 2", "0x10", "٣", "1e", ".",
])
def test_nonsense_is_refused_with_an_example(read, text: str) -> None:
    with pytest.raises(InputError, match=r"like (64KiB|50ms|200uJ)") as error:
        read(text)
    assert f"'{text}'" in str(error.value)


def test_a_time_is_no_size() -> None:
    for read, text in ((size, "5ms"), (milliseconds, "5KiB"), (microjoules, "5ms"), (size, "0.4")):
        with pytest.raises(InputError):
            read(text)
