"""`ratti doctor` knows everything that the project can use; the shells complete what the parser knows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ratti import targets
from ratti.cli import main, verbs
from ratti.verbs import doctor

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_every_package_of_every_extra_is_known() -> None:
    names = {p.name.lower() for p in doctor.THINGS if isinstance(p, doctor.Package)}
    extras = {k: v for k, v in PROJECT["optional-dependencies"].items() if k != "dev"}
    for line in (*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)):
        name = re.split(r"[<>=\[]", line)[0].strip().lower()
        assert name == "ratti" or name in names, f"doctor does not know {name}"
    mentioned = {p.extra for p in doctor.THINGS if isinstance(p, doctor.Package)} - {""}
    assert mentioned <= set(extras)


def test_what_is_there_is_found_and_what_is_not_has_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "adb").write_text("#!/bin/sh\n")
    (tmp_path / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "serial", None)
    assert main(["doctor", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    items = {item["name"]: item for item in data["items"]}
    assert data["schema"] == "ratti.doctor/1" and items["numpy"]["installed"] and items["numpy"]["which"]
    assert items["adb"]["which"] == str(tmp_path / "adb") and not items["openocd"]["installed"]
    assert items["openocd"]["install"] == "apt-get install openocd" and items["openocd"]["gives"]
    assert not items["pyserial"]["installed"] and items["pyserial"]["install"] == "pip install 'ratti[serial]'"
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "apt-get install openocd" in printed and printed.index("installed") < printed.index("missing")


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ratti.verbs.doctor import doctor; doctor(); "
        "print(*(m for m in ('torch', 'tvm', 'onnx', 'unicorn', 'serial') if m in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def script(shell: str, capsys: pytest.CaptureFixture) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


CASES = {  # what is typed, and some of what is offered
    "ratti ch": ["check"],
    "ratti check --ta": ["--target"],
    "ratti check --target stm32": [t for t in targets.ids() if t.startswith("stm32")],
    "ratti export --project ar": ["arduino"],
    "ratti export m.tflite --weights b": ["blob"],
    "ratti llm f": ["fit"],
    "ratti check --optimize s": ["speed", "size"],
}


@pytest.mark.parametrize("typed", CASES)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_bash_completes_and_zsh_by_it(shell: str, typed: str, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"optional: {shell} is missing")
    if shell == "zsh":
        (tmp_path / "script").write_text(script("zsh", capsys))
        line = f"autoload -Uz compinit && compinit -D -u; source {tmp_path}/script && print $_comps[ratti]"
        result = subprocess.run(["zsh", "-f", "-c", line], capture_output=True, text=True, check=True)
        assert "_ratti" in result.stdout and result.stderr == ""
        return
    words = " ".join(f"'{word}'" for word in typed.split(" "))
    (tmp_path / "script").write_text(
        script("bash", capsys) + f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ratti\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(["bash", tmp_path / "script"], capture_output=True, text=True, check=True)
    assert sorted(result.stdout.split()) == sorted(CASES[typed]) and result.stderr == ""


@pytest.mark.parametrize("typed", CASES)
def test_fish_completes(typed: str, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("optional: fish is missing")
    (tmp_path / "script").write_text(script("fish", capsys))
    line = f"source {tmp_path}/script; complete -C '{typed}'"
    result = subprocess.run(["fish", "-N", "-c", line], capture_output=True, text=True, check=True)
    offered = [row.split("\t")[0] for row in result.stdout.splitlines()]
    assert set(CASES[typed]) <= set(offered), result.stdout + result.stderr


def test_every_verb_is_in_every_script(capsys: pytest.CaptureFixture) -> None:
    for shell in ("bash", "zsh", "fish"):
        text = script(shell, capsys)
        assert all(verb in text for verb in verbs())
    assert main(["completion", "csh"]) == 2
