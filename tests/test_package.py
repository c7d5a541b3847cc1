"""What is installed: every file that is needed, nothing else, and little enough of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import ratti

ROOT = Path(__file__).parents[1]
SOURCE = Path(ratti.__file__).parent
MOST_BYTES = 600e6  # installed, with the device extra
FOREIGN = ("torch", "onnx", "onnxruntime", "executorch", "tvm", "pytest")  # of other extras


def _data_files() -> set[str]:
    """Files beside the modules that ratti reads when it runs."""
    files = (p for p in SOURCE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(SOURCE).as_posix() for p in files if p.suffix not in (".py", ".pyc")}


def test_the_project_file_names_every_data_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["ratti"]
    # fnmatch's * goes across folders; ** may stand for none.
    spellings = [s for p in patterns for s in (p, p.replace("**/", ""))]
    missing = [f for f in sorted(_data_files()) if not any(fnmatchcase(f, s) for s in spellings)]
    assert missing == []


def test_the_papers_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0" and (SOURCE / "py.typed").is_file()
    for name in (*project["license-files"], "CONTRIBUTING.md", "CITATION.cff", "CHANGELOG.md"):
        assert (ROOT / name).stat().st_size > 100
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == ratti.__version__ == project["version"]
    assert citation["license"] == project["license"] and citation["cff-version"] == "1.2.0"


def test_the_notice_names_everything_that_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {k: v for k, v in project["optional-dependencies"].items() if k not in ("dev", "docs", "all", "runtimes")}
    needed = {r.split("[")[0].split("=")[0].split(">")[0].split("<")[0].lower()
              for group in (project["dependencies"], *groups.values()) for r in group} - {"ratti"}
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8").lower()
    assert [n for n in sorted(needed) if n not in notice] == []


def _run(*words: object, folder: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "CI")}
    result = subprocess.run([str(w) for w in words], cwd=folder, env=clean, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.mark.slow
def test_the_wheel_in_an_empty_environment(tmp_path: Path, shared: Path) -> None:
    """Source distribution and wheel are built; the wheel alone checks a `.tflite`."""
    builder, user = tmp_path / "builder", tmp_path / "user"
    for place in (builder, user):
        _run(sys.executable, "-m", "venv", place, folder=tmp_path)
    _run(builder / "bin/python", "-m", "pip", "install", "--quiet", "build", folder=tmp_path)
    _run(builder / "bin/python", "-m", "build", "--outdir", tmp_path / "dist", ROOT, folder=tmp_path)
    (wheel,), (source,) = ((tmp_path / "dist").glob(g) for g in ("*.whl", "*.tar.gz"))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {n.removeprefix("ratti/") for n in names if n.startswith("ratti/") and not n.endswith(".py")}
    assert inside == _data_files()
    assert {n.split("/")[0] for n in names} == {"ratti", f"ratti-{ratti.__version__}.dist-info"}  # no tests
    assert source.stat().st_size < 5e6
    python = user / "bin/python"
    bare = sum(p.stat().st_size for p in user.rglob("*") if p.is_file())
    _run(python, "-m", "pip", "install", "--quiet", f"{wheel}[device]", folder=tmp_path)
    installed = sum(p.stat().st_size for p in user.rglob("*") if p.is_file() and not p.is_symlink()) - bare
    print(f"installed: {installed / 1e6:.0f} MB")
    assert installed < MOST_BYTES
    absent = _run(python, "-c", "import importlib.util as u; "
                  f"print(*(m for m in {FOREIGN!r} if u.find_spec(m)))", folder=tmp_path)
    assert absent.split() == []
    words = (user / "bin/ratti", "check", shared / "models" / "kws.tflite", "--target", "stm32l4r5zi")
    out = _run(*words, folder=tmp_path)
    assert "FITS" in out and "instructions" in out
    (tmp_path / "kws.json").write_text(_run(*words, "--json", folder=tmp_path))
    _run(user / "bin/ratti", "report", "kws.json", folder=tmp_path)
    assert "Memory over time" in (tmp_path / "kws.html").read_text(encoding="utf-8")
