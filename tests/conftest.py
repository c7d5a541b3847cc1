"""What the tests share: where the real inputs lie, and that nothing is skipped where everything must be there (CI)."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# What a marker needs: an importable package, and the extra that brings it.
NEEDS = {
    "toolchain": (("ziglang", "unicorn", "capstone", "elftools"), "device"),
    "oracle": (("tflite_micro",), "oracle"),
    "torch": (("torch", "torchao"), "train"),
}


def absent(what: str) -> None:
    """Skips the test; in CI, where all must be installed, fails it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and in CI nothing may be skipped")
    pytest.skip(f"{what} is missing")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (packages, extra) in NEEDS.items():
        missing = [p for p in packages if item.get_closest_marker(marker) and importlib.util.find_spec(p) is None]
        if missing:
            absent(f"{', '.join(missing)} (pip install 'ratti[{extra}]')")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real inputs: RATTI_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("RATTI_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "models").is_dir():
        absent(f"the folder of real inputs '{folder}' (set RATTI_SHARED)")
    return folder


@pytest.fixture(scope="session")
def system_compiler() -> Callable[[str], str]:
    """A compiler of the computer by name: zig has no AddressSanitizer, and a second opinion is worth having."""

    def find(name: str) -> str:
        if shutil.which(name) is None:
            absent(f"the compiler {name}")
        return name

    return find
