"""Instructions of one inference on Arm application processors, counted by QEMU (user mode, 7.2 or later).

    python benchmarks/arm.py [MODEL ...]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from ratti import models
from ratti.deploy import prepare
from ratti.device import linux, toolchain
from ratti.samples import make_inputs

KINDS = {"aarch64": "qemu-aarch64", "aarch64-dotprod": "qemu-aarch64", "armv7l": "qemu-arm"}
RUNS = 10

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


def main() -> None:
    print("| model | processor | instructions | instr/MAC |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "count.c").write_text(PLUGIN)
        options = ["cc", "-shared", "-fPIC", "-O2", "-nostdlib", "count.c", "-o", "count.so"]
        built = toolchain.zig(options, Path(folder))
        assert built.returncode == 0, built.stderr
        for name in sys.argv[1:] or ["ds_cnn-1.0-49", "mobilenet_v2-0.35-96"]:
            graph = models.load(name)
            program = prepare(graph, "portable").program
            data = b"".join(x.tobytes() for x in make_inputs(graph, 8)[-1])
            for kind, qemu in KINDS.items():
                binary = linux.runner(program, f"{graph.name}.h", kind)
                totals = []
                for runs in (1, 1 + RUNS):
                    command = [qemu, "-cpu", "max", "-plugin", f"{folder}/count.so", str(binary), str(runs), "0"]
                    result = subprocess.run(command, input=data, capture_output=True, check=True)
                    totals.append(int(result.stderr.split()[-1]))
                each = (totals[1] - totals[0]) / RUNS
                print(f"| {name} | {kind} | {each:,.0f} | {each / graph.macs():.2f} |")


if __name__ == "__main__":
    main()
