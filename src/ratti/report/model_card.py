"""The model card: what a model is, how it was made and how good it is, for people (Mitchell et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import targets
from ..data import goals
from .tables import figure

if TYPE_CHECKING:
    from ..data import Dataset
    from ..recipe import Recipe
    from ..verbs._built import ModelResult


def text(recipe: Recipe, dataset: Dataset, result: ModelResult, made_by: str) -> str:
    """The card as Markdown."""
    h, w, c = dataset.input_shape
    goal = goals.load(dataset.goal)
    lines = [
        f"# {recipe.name}: {result.net}",
        "",
        f"{goal.WHAT.format(classes=dataset.classes)}, for inputs of {h}x{w}x{c}: {result.parameters:,} parameters, "
        f"{result.macs:,} multiply-accumulates. {made_by}",
        "",
        *([recipe.purpose, ""] if recipe.purpose else []),
        *(["## Limits", "", *(f"- {line}" for line in recipe.cautions), ""] if recipe.cautions else []),
        f"## {result.metric[0].upper()}{result.metric[1:]} on the test set",
        "",
        f"{dataset.test_size:,} samples that nothing was trained, chosen or calibrated on.",
        "",
        f"| | {result.metric} |",
        "| --- | --- |",
        f"| float32 | {result.accuracy_float:.2%} |",
        f"| int8 | {result.accuracy_int8:.2%} |",
    ]
    if result.confusion:
        lines.append(f"| int8, balanced: the mean of the recalls below | {result.balanced_int8:.2%} |")
    for d in result.device:
        lines.append(f"| firmware on {d.target}, {d.samples:,} samples | {d.accuracy:.2%} |")
    lines += [f"| int8, {name} | {value:.2%} |" for name, value in result.details.items()]
    lines += ["", "| class | recall, int8 |", "| --- | --- |"]
    for name, recall in zip(dataset.class_names, result.recall_int8, strict=True):
        lines.append(f"| {name} | {'no samples' if recall is None else f'{recall:.1%}'} |")
    lines += [f"\n{name[0].upper()}{name[1:]}, chosen on validation: {value:.6g}." for name, value in
              result.settings.items()]
    lines += [
        "",
        "## On the devices",
        "",
        "| device | fits | RAM, B | flash, B | instructions | ms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for check in result.checks:
        whole = check.whole
        count = "not run" if whole.instructions is None else f"{whole.instructions:,}"
        lines.append(
            f"| {targets.load(check.target).name} | {'yes' if check.fits else 'no'} | {whole.ram:,} "
            f"| {whole.flash:,} | {count} | {_milliseconds(whole.latency_range_ms)} |"
        )
    mean, std = dataset.normalization.mean[0], dataset.normalization.std[0]
    low, high = -mean / std, (255 - mean) / std
    front = dataset.front_end
    feed = (
        f"`{recipe.name}_features()` in `c/` makes it from {front.samples:,} {front.sample_type.value} samples (front "
        f"end {front.name}, settings in `front_end.yaml`; the figures above are those of both, one after the other)"
        if front is not None
        else f"`code = pixel - 128` (pixels 0 … 255 stand for {round(low)} … {round(high)})"
        if dataset.input_quant is not None
        else "values standardized by the training set's mean and deviation, then by the input's scale in `model.tflite`"
    )
    lines += [
        "",
        "RAM is arena, static data and stack; flash is the whole linked image; instructions are counted on the "
        "emulated core, times are priced by a cited timing table from no wait states to the flash as the part is "
        "configured.",
        *_battery(result),
        "",
        "## Use",
        "",
        f"Input: {feed}. Output: {goal.USE}. `c/` holds the source for each instruction set with a test, and in "
        "`*_answer.h` what makes an answer of the output; `model.tflite` gives the same bits in TensorFlow Lite Micro.",
        "",
        "Codes: " + ", ".join(f"{side} scale {scale:.6g}, zero point {zero}" for side, (scale, zero) in
                              result.codes.items()) + ".",
        "",
        "## Data and training",
        "",
        f"Source: `{recipe.data}`{f' ({recipe.origin})' if recipe.origin else ''}: {len(dataset.train):,} samples to "
        f"train, {len(dataset.val):,} to validate "
        f"(cut from the training part by group), {dataset.test_size:,} to test.",
    ]
    lines += [f"- {line}" for line in dataset.report.lines()]
    lines += [
        "",
        "The licence of the data applies to what is learned from it; read it before you ship. "
        f"{goal.LIMIT}",
        "",
    ]
    return "\n".join(lines)


def _battery(result: ModelResult) -> list[str]:
    """Battery life at the recipe's duty cycle, where it names one."""
    if result.duty is None:
        return []
    lines = ["", "## Battery life", "", f"For {result.duty}: the core at work, no sensor, no radio, no "
             "regulator.", "", "| device | energy of an inference | on average | lasts | how |",
             "| --- | --- | --- | --- | --- |"]
    for life in result.battery:
        energy = "no figure" if life.energy_uj is None else f"{figure(life.energy_uj)} µJ"
        mean = "no figure" if life.average_uw is None else f"{figure(life.average_uw)} µW"
        lines.append(f"| {targets.load(life.target).name} | {energy} | {mean} | {life.words} "
                     f"| {life.how}: {life.about} |")
    return lines


def _milliseconds(span: tuple[float, float | None] | None) -> str:
    if span is None:
        return "no source"
    low, high = span
    return f"{figure(low)} or more" if high is None else f"{figure(low)} … {figure(high)}"
