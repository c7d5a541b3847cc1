"""Architecture search with measured costs in the loop.

    spaces/<space>.py         what may be built: named choices, and the net that each set of them stands for
    cost                      what a net costs, composed of layers that were compiled and run on the target
    study                     the search itself: an Optuna study, its limits, its workers, its front
    strategies/<strategy>.py  what to try next
    workers                   where candidates are evaluated: local processes or Ray
    learned                   what can be read off the trials

Costs reach this package as a function (`plan.Meter`); it never imports `device`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """`ratti.search(data, target, …)` is the verb, as for all others: this package of its name can be called."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return import_module("ratti.verbs.search").search(*arguments, **options)


sys.modules[__name__].__class__ = _Package
