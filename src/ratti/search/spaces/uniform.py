"""A known net under one width multiplier, at each size of the input: what a search is compared with.

MobileNetV2 for pictures, DS-CNN for spectrograms and for signals: the families of `ratti.nets` as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from ...nets._scale import scaled
from ...types import Shape
from .base import WIDTH, Choice, Part, Space, Task, Value

WIDTHS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0)
HEAD = 2  # blocks of a family after its body: mean and the classes


class Uniform(Space):
    id = "uniform"
    order = 9

    @classmethod
    def takes(cls, shape: Shape) -> bool:
        return shape[0] >= 8

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        return False  # a yardstick

    def choices(self, task: Task) -> Mapping[str, tuple[Value, ...]]:
        return {WIDTH: WIDTHS, "head": (0, 1)}

    def body(self, choice: Choice, shape: Shape) -> tuple[Part, ...]:
        is_picture = max(shape[:2]) <= 2 * min(shape[:2])
        family = "mobilenet_v2" if is_picture else "ds_cnn_1d" if shape[1] == 1 else "ds_cnn"
        blocks = import_module(f"ratti.nets.{family}").blocks(float(choice[WIDTH]), shape, self.task.classes)
        body = blocks[:-HEAD]
        if family == "mobilenet_v2" and not choice["head"]:
            # The paper keeps the last convolution at full width, which small flash does not hold: it may be scaled too.
            body = (*body[:-1], replace(body[-1], width=scaled(body[-1].width, min(float(choice[WIDTH]), 1.0))))
        return (Part("body", body),)
