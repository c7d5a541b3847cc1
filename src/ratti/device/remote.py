"""Another computer, reached by ssh or adb: push a file, run a command, read what it prints."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError, InputError, MissingDependencyError

SECONDS = 60.0  # for a command of which nothing else is said
TELL_EVERY = 5.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Shell:
    """How commands reach the other computer. `prefix` comes before a command line for its shell."""

    name: str
    prefix: tuple[str, ...]
    folder: str  # where a temporary folder is made
    pusher: tuple[str, ...] = ()  # pushes FILE to PATH; empty: through the shell

    def output(self, command: str, data: bytes = b"", seconds: float = SECONDS, say: Say | None = None) -> bytes:
        """What `command` prints. DeviceError where it fails or takes longer than `seconds`."""
        arguments = [*self.prefix, command]
        begin = time.monotonic()
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            pending: bytes | None = data
            while True:
                left = seconds - (time.monotonic() - begin)
                try:
                    out, err = process.communicate(pending, timeout=max(0.01, min(left, TELL_EVERY)))
                    break
                except subprocess.TimeoutExpired:
                    pending = None
                    if left <= 0:
                        process.kill()
                        raise DeviceError(f"{self.name}: no end of '{command}' in {seconds:g} s") from None
                    if say:
                        say(f"{self.name}: about {left:.0f} s left")
                except BaseException:
                    process.kill()
                    raise
        if process.returncode:
            said = err.decode("utf-8", "replace").strip().splitlines() or [f"exit code {process.returncode}"]
            raise DeviceError(f"{self.name}: {said[-1]}")
        return out

    def push(self, data: bytes, path: str) -> None:
        """Writes a file there."""
        if not self.pusher:
            self.output(f"cat > {shlex.quote(path)}", data)
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            file.write_bytes(data)
            result = subprocess.run([*self.pusher, str(file), path], capture_output=True, text=True, check=False)
        if result.returncode:
            raise DeviceError(f"{self.name}: {(result.stderr.strip().splitlines() or ['push failed'])[-1]}")

    @contextlib.contextmanager
    def workplace(self) -> Iterator[str]:
        """A temporary folder there."""
        path = self.output(f"mktemp -d {self.folder}/ratti-XXXXXX").decode("utf-8", "replace").strip()
        if not path.startswith(f"{self.folder}/ratti-"):
            raise DeviceError(f"{self.name}: no temporary folder in {self.folder}: {path or 'no answer'}")
        try:
            yield path
        finally:
            with contextlib.suppress(DeviceError):
                self.output(f"rm -rf {shlex.quote(path)}")


def shell(place: str, ssh_options: Sequence[str] = ()) -> Shell:
    """The shell of `ssh:USER@HOST`, `adb` or `adb:SERIAL`. MissingDependencyError where the program is not on PATH."""
    kind, _, rest = place.partition(":")
    if kind == "ssh":
        if not rest or rest.startswith("-"):
            raise InputError(f"'{place}' names no host: ssh:USER@HOST")
        _require("ssh", "reaching another computer", "apt-get install openssh-client")
        options = [word for option in ("BatchMode=yes", "ConnectTimeout=15", *ssh_options) for word in ("-o", option)]
        return Shell(place, ("ssh", *options, "--", rest), "/tmp")
    _require("adb", "reaching a phone", "apt-get install adb, or Android's platform tools")
    adb = ("adb", *(("-s", rest) if rest else ()))
    return Shell(place, (*adb, "exec-out"), "/data/local/tmp", (*adb, "push"))


def _require(program: str, purpose: str, install: str) -> None:
    if shutil.which(program) is None:
        raise MissingDependencyError(program, "", purpose, install)
