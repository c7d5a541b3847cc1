"""The long fuzz command: it keeps what a reader does not withstand, and goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx is missing (pip install 'ratti[onnx]')")

import fuzz


def test_the_long_run_keeps_what_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def read(data: bytes) -> str:
        seen.append(data)
        if len(seen) == 7:
            raise IndexError("tuple index out of range")
        return "graph"

    monkeypatch.setattr(fuzz, "READERS", {"tflite": (lambda: [b"one file", b"another"], read)})
    for count, code in ((500, 1), (1000, 1)):
        monkeypatch.setattr(sys, "argv", ["fuzz.py", "tflite", str(count), "--state", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            fuzz.main()
        assert end.value.code == code and len(seen) == count
    state = json.loads((tmp_path / "tflite.json").read_text())
    assert state["done"] == 1000 and state["graphs"] == 999 and len(state["found"]) == 1
    (kept,) = tmp_path.glob("*.damaged")
    assert kept.read_bytes() == seen[6]


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_every_reader_has_files(reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "BATCH", 60)
    make, read = fuzz.READERS[reader]
    originals = make()
    assert all(read(data) == "graph" for data in originals)
    graphs, found = fuzz.batch(0, originals, read, tmp_path)
    assert found == [] and 0 < graphs < fuzz.BATCH
