"""Instructions of programs for other processors, counted by QEMU (user mode, 7.2 or later)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ratti.device import toolchain

PLUGIN = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
typedef uint64_t plugin;
struct block;
size_t qemu_plugin_tb_n_insns(const struct block *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin, void (*)(plugin, struct block *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(plugin, void (*)(plugin, void *), void *);
int qemu_plugin_version = 1;
static uint64_t total;
static void ran(unsigned cpu, void *count) { (void)cpu; total += (uintptr_t)count; }
static void translated(plugin id, struct block *b)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(b, ran, 0, (void *)qemu_plugin_tb_n_insns(b));
}
static void end(plugin id, void *u) { (void)id; (void)u; fprintf(stderr, "%llu\\n", (unsigned long long)total); }
int qemu_plugin_install(plugin id, const void *info, int n, char **words)
{
    (void)info; (void)n; (void)words;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
"""


def plugin(folder: Path) -> Path:
    """The counter, compiled into `folder`."""
    (folder / "count.c").write_text(PLUGIN)
    built = toolchain.zig(["cc", "-shared", "-fPIC", "-O2", "-nostdlib", "count.c", "-o", "count.so"], folder)
    assert built.returncode == 0, built.stderr
    return folder / "count.so"


def counted(counter: Path, qemu: str, command: Sequence[str | Path], data: bytes) -> tuple[int, bytes]:
    """Instructions of the whole `command` with `data` as its input, and what it prints."""
    words = [qemu, "-cpu", "max", "-plugin", counter, *command]
    result = subprocess.run(words, input=data, capture_output=True, check=True)
    return int(result.stderr.split()[-1]), result.stdout
