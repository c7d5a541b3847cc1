"""Phones and gateways: static programs that run under QEMU, and a real ssh server on this computer's loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratti import models
from ratti.cli import main
from ratti.device import linux, remote
from ratti.errors import DeviceError, InputError, MissingDependencyError
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.units import seconds
from ratti.verbs import _remote

pytestmark = pytest.mark.toolchain
QEMU = {"aarch64": "qemu-aarch64", "aarch64-dotprod": "qemu-aarch64", "armv7l": "qemu-arm"}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return models.load("micro-1.0-8")


def inputs(graph: Graph) -> bytes:
    return b"".join(x.tobytes() for row in make_inputs(graph, _remote.INFERENCES) for x in row)


@pytest.mark.slow  # zig builds its C library for each kind of processor once: minutes where the computer is busy
@pytest.mark.parametrize("kind", sorted(QEMU))
def test_static_programs_run_under_qemu(graph: Graph, kind: str, tmp_path: Path) -> None:
    from elftools.elf.elffile import ELFFile

    if shutil.which(QEMU[kind]) is None:
        pytest.skip(f"{QEMU[kind]} is missing")
    binary = tmp_path / "runner"
    binary.write_bytes(_remote.compiled(graph, kind))
    binary.chmod(0o755)
    with binary.open("rb") as stream:
        file = ELFFile(stream)
        assert file.header["e_machine"] == ("EM_ARM" if kind == "armv7l" else "EM_AARCH64")
        assert not [s for s in file.iter_segments() if s["p_type"] in ("PT_INTERP", "PT_DYNAMIC")]
    command = [QEMU[kind], *(["-cpu", "max"] if kind == "aarch64-dotprod" else []), str(binary), "25", "1.2"]
    printed = subprocess.run(command, input=inputs(graph), capture_output=True, check=True).stdout
    found = _remote.read(graph, printed, kind, binary.stat().st_size)
    assert (found.differ, found.elements) == (0, 80)
    assert found.runs >= 25 and 1.2 <= found.seconds < 10 and found.peak_bytes > 0
    assert found.spread_ms[0] <= found.median_ms <= found.spread_ms[1]


Server = tuple[str, tuple[str, ...]]  # the place, and the options to reach it


@contextlib.contextmanager
def server(folder: Path, *more: str) -> Iterator[Server]:
    """A server of this computer's own on loopback, with keys made for it and `more` lines of configuration."""
    daemon = shutil.which("sshd") or "/usr/sbin/sshd"
    missing = [p for p in ("ssh", "ssh-keygen", daemon) if shutil.which(p) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is missing (Debian: openssh-server)")
    folder.chmod(0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    (folder / "allowed").write_text((folder / "user.pub").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/allowed",
        "PasswordAuthentication no", "StrictModes no", "UsePAM no", f"PidFile {folder}/pid", "PermitRootLogin yes",
        *more,
    ]
    (folder / "config").write_text("\n".join(lines) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([daemon, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL) as process:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        options = (f"Port={port}", f"IdentityFile={folder}/user", f"UserKnownHostsFile={folder}/known",
                   "StrictHostKeyChecking=no", "IdentitiesOnly=yes")
        yield f"ssh:{getpass.getuser()}@127.0.0.1", options
        process.terminate()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """This computer as a gateway."""
    with server(tmp_path_factory.mktemp("ssh")) as found:
        yield found


# Says that it is aarch64, and runs programs that were pushed under QEMU: what a gateway of that kind would do.
GATEWAY = """#!/bin/bash
uname() { echo aarch64; }
eval "$(sed -E 's#&& (\\S*/runner) #\\&\\& qemu-aarch64 \\1 #' <<< "$SSH_ORIGINAL_COMMAND")"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An emulated aarch64 gateway behind a real ssh server."""
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 is missing")
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "shell").write_text(GATEWAY)
    (folder / "shell").chmod(0o755)
    with server(folder, f"ForceCommand {folder}/shell") as found:
        yield found


def test_ssh_pushes_runs_and_cleans_up(ssh: Server) -> None:
    shell = remote.shell(*ssh)
    with shell.workplace() as folder:
        data = bytes(range(256)) * 50
        shell.push(data, f"{folder}/file")
        assert shell.output(f"cat {folder}/file") == data
    with pytest.raises(DeviceError, match="No such file"):
        shell.output(f"cat {folder}/file")


def test_ssh_says_what_failed(ssh: Server) -> None:
    place, options = ssh
    shell = remote.shell(place, options)
    with pytest.raises(DeviceError, match="exit code 3"):
        shell.output("exit 3")
    heard: list[str] = []
    quick = remote.TELL_EVERY
    with pytest.raises(DeviceError, match=r"no end of 'sleep 30' in 6 s"):
        shell.output("sleep 30", seconds=quick + 1, say=heard.append)
    assert heard and "s left" in heard[0]
    with pytest.raises(DeviceError, match="ermission denied"):
        remote.shell(place, (*options[:1], "IdentityFile=/dev/null", *options[2:])).output("true")


def test_bench_over_ssh(ssh: Server, capsys: pytest.CaptureFixture) -> None:
    place, options = ssh
    words = [word for option in options for word in ("--ssh-option", option)]
    assert main(["bench", "micro-1.0-8", "--on", place, "--rounds", "30", "--json", *words]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["how"] == "measured" and row["remote"]["differ"] == 0 and row["remote"]["elements"] == 80
    assert row["int8"]["runs"] >= 30 and 0 < row["int8"]["median_ms"] < 100
    assert main(["bench", "micro-1.0-8", "--on", place, "--sustain", "2s", *words]) == 0
    assert "all 80 outputs equal" in capsys.readouterr().out


@pytest.mark.slow  # zig builds its C library for the processor once
def test_a_sustained_run_on_an_emulated_gateway(gateway: Server, capsys: pytest.CaptureFixture) -> None:
    """RATTI_SUSTAIN=5m with `-s` prints the run that docs/boards.md shows."""
    place, options = gateway
    words = [word for option in options for word in ("--ssh-option", option)]
    sustain = os.environ.get("RATTI_SUSTAIN", "2s")
    assert main(["bench", "ds_cnn-1.0-49", "--on", place, "--sustain", sustain, *words]) == 0
    out = capsys.readouterr().out
    assert "aarch64" in out and "outputs equal" in out
    assert ("last minute" in out) == (seconds(sustain) >= 2 * _remote.MINUTE)
    with capsys.disabled():
        if "RATTI_SUSTAIN" in os.environ:
            print(out)


def test_first_and_last_minute_are_told_apart(graph: Graph, ssh: Server) -> None:
    """What a phone that heats up prints: the numbers are made, the outputs and the reading of them are real."""
    place, options = ssh
    found = _remote.run(graph, place, 5, 0.0, options)
    rows = make_inputs(graph, _remote.INFERENCES)
    from ratti.graph import interpreter

    outputs = b"".join(v.tobytes() for row in rows for v in interpreter.run(graph, row).values())
    lines = [f"slice {t}.00 100 900000 {1000000 + 10000 * t} 4000000 {2000 - 5 * t} {40000 + 100 * t}"
             for t in range(1, 181)]
    printed = outputs + "\n".join([*lines, "peak 700"]).encode()
    long = _remote.read(graph, printed, "aarch64", 1)
    assert found.first is None and long.first is not None and long.last is not None
    assert long.first.median_ms == pytest.approx(1.31, abs=0.01) and long.last.median_ms == pytest.approx(2.505)
    assert (long.first.mhz, long.last.mhz, long.last.celsius) == (1695, 1100, 58.0)
    assert long.peak_bytes == 700 * 1024 and dataclasses.replace(long).runs == 18000
    with pytest.raises(DeviceError, match="ended early"):
        _remote.read(graph, printed[:-9], "aarch64", 1)


def test_the_lines_of_adb() -> None:
    """No phone here: the commands alone."""
    if shutil.which("adb") is None:
        pytest.skip("optional: adb is missing")
    plain, named = remote.shell("adb"), remote.shell("adb:emulator-5554")
    assert plain.prefix == ("adb", "exec-out") and plain.pusher == ("adb", "push")
    assert named.prefix == ("adb", "-s", "emulator-5554", "exec-out") and named.folder == "/data/local/tmp"
    with pytest.raises(DeviceError, match=r"adb:emulator-5554: .*not found"):
        named.output("uname -m")


def test_what_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no host"):
        remote.shell("ssh:-oProxyCommand=x")
    with pytest.raises(InputError, match="unknown kind of processor 'mips'"):
        linux.machine("mips")
    both = "Features\t: fp asimd asimddp\nCPU part: 0xd0b\nFeatures\t: fp asimd asimddp\n"
    assert linux.machine("aarch64", both) == "aarch64-dotprod" and linux.machine("aarch64") == "aarch64"
    assert linux.machine("aarch64", both + "Features\t: fp asimd\n") == "aarch64"  # a little core without
    assert linux.machine("armv8l") == "armv7l" and linux.machine("arm64") == "aarch64"
    monkeypatch.setenv("PATH", str(tmp_path))
    for place, program in (("ssh:a@b", "ssh"), ("adb", "adb")):
        with pytest.raises(MissingDependencyError, match=program):
            remote.shell(place)
