"""Vibration of a small motor, synthetic: normal running and three faults, by formulas that are written here.

No recording: it shows the way and gives figures that anybody can make again; what a real machine gives must be recorded
there. A window is 256 samples of one axis of an accelerometer at 3,200 Hz (int16, 4,096 a g, as a +-8 g MEMS part such
as the ADXL345 or LIS3DH may be set). Every machine has its own speed, mounting and noise; all windows of one machine
stay in one part. All faults start slight: their strength is drawn from 0.3 to 1.

- normal: shaft turns at 22 to 27 Hz; harmonics 1 to 4 with falling amplitude, mains hum at 100 Hz, one or two
  resonances of the mounting (300 to 1,000 Hz) that colored noise excites, white noise.
- imbalance: the first harmonic grows with the square of the speed (Randall 2011, "Vibration-based Condition
  Monitoring", section 2.2.1).
- looseness: half harmonics (1/2, 3/2, 5/2 of the speed) and a clipped swing (same, section 2.2.3).
- bearing: a train of impulses at the outer race's frequency, 3.57 times the speed (9 balls), with 1 % jitter, each
  ringing at 900 to 1,400 Hz and dying in about 1 ms, swelling with the shaft (same, section 2.2.4; McFadden and Smith
  1984, "Model for the vibration produced by a single point defect in a rolling element bearing").
"""

from __future__ import annotations

import numpy as np

from ...types import Array
from ..dataset import Dataset, Kind, LoadReport, Part
from ..options import Options
from ..split import cut_by_group
from .npz import signals

FORMS = "'motor' (synthetic vibration of a motor: normal, and three faults)"
CLASSES = ("normal", "bearing", "imbalance", "looseness")
RATE_HZ, WINDOW, COUNTS_A_G = 3200, 256, 4096
MACHINES, NORMAL_WINDOWS, FAULT_WINDOWS = 240, 12, 2  # of each machine
SEED = 20260


def accepts(source: str) -> bool:
    return source == "motor"


def load(source: str, options: Options) -> Dataset:
    x, y, groups = windows(SEED)
    test = cut_by_group(y, groups, options.test_share, 0)
    shaped = [x[mask][:, :, None, None] for mask in (~test, test)]
    notes = [f"synthetic: {len(x):,} windows of {WINDOW} samples at {RATE_HZ:,} Hz of {MACHINES} machines, made by "
             f"formulas (ratti.data.sources.motor); no recording of a real machine is in it"]
    front_end, made = signals(source, shaped, RATE_HZ, options, notes)
    rest, held = (Part(features, y[mask], groups[mask], raw=samples)
                  for (features, samples), mask in zip(made, (~test, test), strict=True))
    val = cut_by_group(rest.y, rest.groups, options.val_share, options.seed)
    return Dataset.sealed(source, Kind.SIGNAL, CLASSES, (rest.take(~val), rest.take(val), held),
                          LoadReport(source, (), tuple(notes)), front_end=front_end)


def windows(seed: int) -> tuple[Array, Array, Array]:
    """(N, WINDOW) int16 of all machines, labels (N,), names of machines (N,): the same for the same seed."""
    x, y, groups = [], [], []
    for machine in range(MACHINES):
        rng = np.random.default_rng([seed, machine])
        body = _Machine(rng)
        for label, kind in enumerate(CLASSES):
            for _ in range(FAULT_WINDOWS if label else NORMAL_WINDOWS):
                g = body.window(kind, rng)
                x.append(np.clip(np.rint(g * COUNTS_A_G), -32768, 32767).astype(np.int16))
                y.append(label)
                groups.append(f"machine:{machine:02d}")
    return np.stack(x), np.array(y, np.int64), np.array(groups)


class _Machine:
    """What is the same in all windows of one machine; accelerations in g."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.hz = rng.uniform(22, 27)
        self.harmonics = 0.08 * rng.uniform(0.7, 1.3, 4) / np.arange(1, 5)
        self.hum = rng.uniform(0.005, 0.02)
        self.noise = rng.uniform(0.01, 0.02)
        self.resonances = [(rng.uniform(300, 1000), rng.uniform(0.01, 0.03)) for _ in range(rng.integers(1, 3))]
        self.ring_hz = rng.uniform(900, 1400)

    def window(self, kind: str, rng: np.random.Generator) -> Array:
        """(WINDOW,) of running normally or with a fault."""
        t = np.arange(WINDOW) / RATE_HZ
        hz, strength = self.hz * rng.uniform(0.97, 1.03), rng.uniform(0.3, 1.0)
        turn = hz * t + rng.random()
        swing = sum(a * np.sin(2 * np.pi * (k * turn + rng.random())) for k, a in enumerate(self.harmonics, 1))
        if kind == "imbalance":
            swing = swing + 0.35 * strength * (hz / 25) ** 2 * np.sin(2 * np.pi * turn)
        if kind == "looseness":
            for k in (0.5, 1.5, 2.5):
                swing = swing + 0.12 * strength * np.sin(2 * np.pi * (k * turn + rng.random()))
            limit = (1.2 - 0.5 * strength) * float(np.abs(swing).max())
            swing = np.clip(swing, -limit, limit)
        g = swing + self.hum * np.sin(2 * np.pi * (100 * t + rng.random())) + rng.normal(0, self.noise, WINDOW)
        for at_hz, level in self.resonances:
            g = g + level * _resonance(at_hz, rng)
        return g + self._impulses(turn, hz, strength, rng) if kind == "bearing" else g

    def _impulses(self, turn: Array, hz: float, strength: float, rng: np.random.Generator) -> Array:
        t, found = np.arange(WINDOW) / RATE_HZ, np.zeros(WINDOW)
        period = 1 / (3.57 * hz)
        at = -rng.random() * period
        while at < t[-1]:
            since = t - at
            load = 0.6 + 0.4 * np.cos(2 * np.pi * np.interp(max(at, 0.0), t, turn))
            ring = np.exp(-np.maximum(since, 0) / 1e-3) * np.sin(2 * np.pi * self.ring_hz * since)
            found = found + 0.5 * strength * load * np.where(since >= 0, ring, 0.0)
            at += period * (1 + 0.01 * rng.normal())
        return found


def _resonance(hz: float, rng: np.random.Generator) -> Array:
    """White noise through a resonance of 5 % damping, of deviation 1: the spectrum is weighed by its magnitude."""
    spectrum = np.fft.rfft(rng.normal(size=2 * WINDOW))
    ratio = np.fft.rfftfreq(2 * WINDOW, 1 / RATE_HZ) / hz
    shaped = np.fft.irfft(spectrum / (1 - ratio**2 + 0.1j * ratio))[:WINDOW]
    normed: Array = shaped / shaped.std()
    return normed
