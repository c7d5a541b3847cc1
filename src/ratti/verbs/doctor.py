"""What is installed and what is missing, what each missing thing would give, and the line that installs it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

SCHEMA = "ratti.doctor/1"


@dataclass(frozen=True)
class Package:
    """A Python distribution, the module by which it is found, the extra that brings it."""

    name: str
    module: str
    extra: str
    gives: str

    def look(self) -> Item:
        try:
            found = importlib.util.find_spec(self.module) is not None
        except (ImportError, ValueError):  # a parent package that is broken
            found = False
        version = _version(self.name) if found else ""
        install = f"pip install 'ratti[{self.extra}]'" if self.extra else "pip install ratti"
        return Item(self.name, "package", found, version, self.gives, install)


@dataclass(frozen=True)
class Program:
    """A program on PATH; any one of `names` will do."""

    names: tuple[str, ...]
    gives: str
    install: str

    def look(self) -> Item:
        found = next((path for name in self.names if (path := shutil.which(name))), "")
        return Item(self.names[0], "program", bool(found), found, self.gives, self.install)


@dataclass(frozen=True)
class Item:
    """One thing: whether it is here, and which (a version, or where a program lies)."""

    name: str
    kind: str
    installed: bool
    which: str
    gives: str
    install: str


@dataclass(frozen=True)
class DoctorResult:
    """Everything that ratti can use."""

    ratti: str
    python: str
    system: str
    items: tuple[Item, ...]

    @property
    def missing(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if not item.installed)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        return {"schema": SCHEMA, **asdict(self)}

    def __str__(self) -> str:
        lines = [f"ratti {self.ratti}, Python {self.python}, {self.system}"]
        width = max(len(item.name) for item in self.items)
        lines += ["", "installed"]
        lines += [f"  {i.name:<{width}}  {i.which}" for i in self.items if i.installed]
        if self.missing:
            lines += ["", "missing"]
        for i in self.missing:
            lines += [f"  {i.name:<{width}}  {i.gives}", f"  {'':<{width}}  {i.install}"]
        return "\n".join(lines)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "?"  # on the path, and not installed


def _apt(package: str) -> str:
    return f"apt-get install {package}"


THINGS: tuple[Package | Program, ...] = (
    Package("numpy", "numpy", "", "everything"),
    Package("flatbuffers", "flatbuffers", "", "reading and writing .tflite"),
    Package("PyYAML", "yaml", "", "recipes and net.yaml"),
    Package("rich", "rich", "", "tables"),
    Package("ziglang", "ziglang", "device", "cross-compiling: firmware, Android libraries, programs for gateways"),
    Package("unicorn", "unicorn", "device", "emulating Cortex-M and RISC-V cores"),
    Package("capstone", "capstone", "device", "pricing instructions: cycles, ms, energy"),
    Package("pyelftools", "elftools", "device", "reading firmware: sizes and symbols"),
    Package("torch", "torch", "train", "training, pruning, quantizing; .pt2 models; language models"),
    Package("torchao", "torchao", "train", "post-training quantization and quantization-aware training"),
    Package("safetensors", "safetensors", "train", "weights of bundles and of language models"),
    Package("pillow", "PIL", "train", "folders of pictures as data"),
    Package("scikit-learn", "sklearn", "train", "data sets that come with it: digits"),
    Package("tflite-micro", "tflite_micro", "oracle", "comparing with TensorFlow Lite Micro, bit by bit"),
    Package("onnx", "onnx", "onnx", "reading and writing .onnx"),
    Package("onnxruntime", "onnxruntime", "onnx", "running and timing ONNX Runtime"),
    Package("ai-edge-litert", "ai_edge_litert", "litert", "running and timing LiteRT"),
    Package("executorch", "executorch", "executorch", "exporting to, running and timing ExecuTorch"),
    Package("apache-tvm", "tvm", "tvm", "exporting to, running and timing TVM"),
    Package("optuna", "optuna", "search", "architecture search"),
    Package("ray", "ray", "search", "architecture search on many machines: --workers ray"),
    Package("mkdocs", "mkdocs", "docs", "the documentation as a site"),
    Package("gguf", "gguf", "llm", "converting and quantizing language models"),
    Package("sentencepiece", "sentencepiece", "llm", "vocabularies of language models"),
    Package("llama-cpp-python", "llama_cpp", "llama", "running and timing language models"),
    Package("pyserial", "serial", "serial", "talking to boards: ratti bench --on serial:PORT"),
    Program(("gcc",), "AddressSanitizer on emitted C, in the tests", _apt("gcc")),
    Program(("cmake",), "building what --project cmake writes", f"pip install cmake, or {_apt('cmake')}"),
    Program(("cargo",), "building what --to rust and --project cargo write", _apt("cargo")),
    Program(("qemu-system-arm",), "Cortex-M55; a second emulator of the others", _apt("qemu-system-arm")),
    Program(("qemu-system-riscv32",), "a second emulator of RISC-V cores", _apt("qemu-system-misc")),
    Program(("qemu-aarch64", "qemu-aarch64-static"), "running programs for phones, in the tests", _apt("qemu-user")),
    Program(("ssh",), "timing on gateways: ratti bench --on ssh:USER@HOST", _apt("openssh-client")),
    Program(("adb",), "timing on phones: ratti bench --on adb", _apt("adb")),
    Program(("openocd",), "flashing .elf files through a debug probe", _apt("openocd")),
    Program(("esptool", "esptool.py"), "flashing ESP32 boards", "pip install esptool"),
    Program(("picotool",), "flashing RP2040 and RP2350 boards", "github.com/raspberrypi/picotool"),
)


def doctor() -> DoctorResult:
    """Looks for everything; imports nothing heavy."""
    version = ".".join(map(str, sys.version_info[:3]))
    system = f"{platform.system()} {platform.machine()}"
    return DoctorResult(_version("ratti"), version, system, tuple(thing.look() for thing in THINGS))
