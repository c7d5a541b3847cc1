"""Versions of what figures depend on: ratti, and the packages that compile, run and train."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("ratti", "numpy", "ziglang", "unicorn", "capstone", "torch", "torchao")


def versions() -> dict[str, str]:
    """By package; those that are not installed are left out. Nothing is imported."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
