"""What the tests share: where the real inputs lie, and that CI skips nothing that must be there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

# What a marker needs: importable packages, and the extra that brings them.
NEEDS = {
    "toolchain": (("ziglang", "unicorn", "capstone", "elftools"), "device"),
    "oracle": (("tflite_micro",), "oracle"),
    "torch": (("torch", "torchao"), "train"),
}
OPTIONAL = "optional: "  # how the reason of a skip begins that CI accepts as well


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (packages, extra) in NEEDS.items():
        missing = [p for p in packages if item.get_closest_marker(marker) and importlib.util.find_spec(p) is None]
        if missing:
            pytest.skip(f"{', '.join(missing)} is missing (pip install 'ratti[{extra}]')")


def _refuse_skips(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI everything must be installed: a skip there is a failure."""
    if os.environ.get("CI") and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(OPTIONAL):
            report.outcome = "failed"
            report.longrepr = f"{reason}\nIn CI nothing may be skipped."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skips(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skips(report)
    return report


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of `benchmarks` by its name."""
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real inputs: RATTI_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("RATTI_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "models").is_dir():
        pytest.skip(f"the folder of real inputs '{folder}' is missing (set RATTI_SHARED)")
    return folder


@pytest.fixture(scope="session")
def system_compiler() -> Callable[[str], str]:
    """A compiler of the computer by name: zig has no AddressSanitizer, and a second opinion is worth having."""

    def find(name: str) -> str:
        if shutil.which(name) is None:
            pytest.skip(f"the compiler {name} is missing")
        return name

    return find
