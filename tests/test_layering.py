"""The package imports upward only, and heavy packages where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ratti

ROOT = Path(ratti.__file__).parent
# A module imports only from those before it; those of one line do not import each other.
ORDER = (
    "errors types",
    "fixed_point registry units versions",
    "targets",
    "ops",
    "features",
    "graph",
    "formats",
    "kernels",
    "plan",
    "emit",
    "device",
    "deploy",
    "meter",
    "runtimes",
    "data",
    "nets",
    "train",
    "compress",
    "search llm",
    "models samples duty",
    "recipe",
    "report",
    "verbs",
    "__init__",
    "cli",
    "__main__",
)
RANK = {name: rank for rank, line in enumerate(ORDER) for name in line.split()}
# Packages that cost time or are optional: where they may be imported when a module is loaded, and where at all.
# A place is a module or a folder; modules that only load when one of their functions is called may be named.
EAGER = {
    "torch": ("nets/_torch.py", "train", "compress", "search", "llm", "formats/torch_export",
              "runtimes/_torch_program.py", "runtimes/_torch_operators.py", "runtimes/_torch_cortex_m.py"),
    "torchao": ("compress",),
    "unicorn": ("device/machine.py",),  # of the worker process
    "tvm": ("runtimes/_tvm",),
    "capstone": ("device/pricing.py", "device/cycles"),
}
ANYWHERE = ("torch", "train", "compress", "nets", "search", "llm", "formats/torch_export", "runtimes/_torch_program.py",
            "runtimes/_torch_operators.py", "runtimes/_torch_cortex_m.py", "runtimes/executorch.py",
            "runtimes/cortex_m.py", "runtimes/_cortex_m_driver.py")
HEAVY = (
    *EAGER,
    "ziglang",
    "elftools",
    "tflite_micro",
    "PIL",
    "sklearn",
    "safetensors",
    "onnx",
    "onnxruntime",
    "tvm",
    "executorch",
    "ai_edge_litert",
    "ray",
    "optuna",
    "scipy",
    "pandas",
    "gguf",
    "llama_cpp",
    "sentencepiece",
    "transformers",
    "jinja2",
)
FILES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=str)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted module, True where it is imported when the module is loaded); types-only imports do not count."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    package = ["ratti", *path.parts[:-1]]
    todo: list[tuple[ast.AST, bool]] = [(tree, True)]
    while todo:
        node, loaded = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        inner = loaded and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        todo += [(child, inner) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Import):
            yield from ((a.name, loaded) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            yield from ((".".join([*module, a.name]), loaded) for a in node.names)


def within(path: Path, places: tuple[str, ...]) -> bool:
    return any(path.as_posix() == place or path.as_posix().startswith(f"{place}/") for place in places)


@each_file
def test_imports_go_upward(path: Path) -> None:
    own = path.parts[0].removesuffix(".py")
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "ratti" and len(parts) > 1:
            other = parts[1] if parts[1] in RANK else "__init__"  # a name of the package itself
            assert other == own or RANK[other] < RANK[own], f"{path} imports {module}"


@each_file
def test_heavy_packages_are_imported_late_and_in_their_places(path: Path) -> None:
    for module, loaded in imports(path):
        name = module.split(".")[0]
        if name in HEAVY and loaded:
            assert within(path, EAGER.get(name, ())), f"{path} imports {name} when it is loaded"
        if name in ("torch", "torchao"):
            assert within(path, ANYWHERE), f"{path} imports {name}"


def test_every_package_has_its_place() -> None:
    assert {p.parts[0].removesuffix(".py") for p in FILES} <= set(RANK)


@pytest.mark.parametrize("module", ["ratti", "ratti.cli", "ratti.verbs.check", "ratti.targets"])
def test_start_up_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@each_file
def test_files_are_short(path: Path) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 420


@each_file
def test_public_names_exist(path: Path) -> None:
    """What a literal `__all__` lists is bound in its module, or is a module beside it."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    bound = {p.stem for p in (ROOT / path.parent).iterdir()} if path.name == "__init__.py" else set()
    public: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {a.asname or a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.Assign):
            names = {t.id for t in node.targets if isinstance(t, ast.Name)}
            bound |= names
            if "__all__" in names and isinstance(node.value, ast.List):
                public = [e.value for e in node.value.elts if isinstance(e, ast.Constant)]
    assert set(public) <= bound
