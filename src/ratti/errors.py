"""The one tree of errors.

    RattiError                  anything that ratti itself refuses or cannot do
    ├── InputError              what the user gave is wrong: one clear line, exit code 2
    │   ├── FormatError         a file that is no model, or a damaged one
    │   ├── UnsupportedError    a valid model with something that ratti does not support
    │   └── DataError           a data set that cannot be trained on
    ├── MissingDependencyError  an optional extra is not installed; says how to install it
    └── DeviceError             compiling, linking or emulating failed
        ├── ToolchainError      the compiler or the linker refused
        ├── DoesNotFitError     the image is larger than the part's flash or RAM
        └── EmulationError      the firmware faulted, ran out of time or used a foreign instruction

A message says what is wrong, where, what is allowed, and what to do.
"""

from __future__ import annotations


class RattiError(Exception):
    """Base of every error that ratti raises on purpose."""


class InputError(RattiError):
    """What the user gave is wrong."""


class FormatError(InputError):
    """A file is not what its name says, or is damaged."""


class UnsupportedError(InputError):
    """A valid model holds something that ratti does not support."""


class DataError(InputError):
    """A data set cannot be used."""


class MissingDependencyError(RattiError):
    """An optional package is not installed. `install` replaces the command that brings the extra."""

    def __init__(self, package: str, extra: str, purpose: str, install: str = "") -> None:
        how = install or f"pip install 'ratti[{extra}]'"
        super().__init__(f"{purpose} needs the package {package}, which is not installed: {how}")


class DeviceError(RattiError):
    """Compiling, linking or emulating failed."""


class ToolchainError(DeviceError):
    """The compiler or the linker refused."""


class DoesNotFitError(DeviceError):
    """The image is larger than the part's flash or RAM."""


class EmulationError(DeviceError):
    """The firmware faulted, ran out of time, or holds an instruction that the core does not have."""
