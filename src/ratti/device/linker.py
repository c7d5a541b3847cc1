"""A linker script from a target's memories.

The stack lies below static data and grows toward the start of RAM: an overflow leaves RAM and faults, on the emulator
as on a board, instead of overwriting the arena unseen. (Where code lies in RAM too, the stack grows toward it.)
"""

from __future__ import annotations

from ..targets import Target

STACK_ALIGN_BYTES = 16  # the largest that an ABI in use asks for (RISC-V ilp32)

_SECTIONS = """
SECTIONS {{
  .text : {{ KEEP(*(.vectors)) *(.text .text.*) . = ALIGN(4); }} > {code}
  .rodata : {{ *(.rodata .rodata.* .srodata .srodata.*) . = ALIGN(4); }} > {constants}
  .stack (NOLOAD) : ALIGN(16) {{ __stack_bottom = .; . += {stack_bytes}; __stack_top = .; }} > {stack}
  .data : {{
    __data_start = .; *(.data .data.*)
    __global_pointer$ = . + 0x400; *(.sdata .sdata.*) . = ALIGN(4); __data_end = .;
  }} > {data} AT > {constants}
  __data_load = LOADADDR(.data);
  .bss (NOLOAD) : {{
    __bss_start = .; *(.sbss .sbss.* .bss .bss.* COMMON) . = ALIGN(4); __bss_end = .;
  }} > {data}
  /DISCARD/ : {{ *(.ARM.exidx* .ARM.attributes .riscv.attributes .comment .note* .eh_frame* .debug*) }}
}}
"""


def script(target: Target) -> str:
    """The script that links firmware for `target` at the real place and size of its memories."""
    lines = [
        f"  {r.name} ({'rx' if r.kind == 'flash' else 'rw'}) : ORIGIN = {r.start:#x}, LENGTH = {r.usable_bytes:#x}"
        for r in target.memory
        if r.holds
    ]
    stack, data = target.region("stack"), target.region("data")
    size = f"LENGTH({stack.name})"
    if stack is data:
        static = "(ALIGN(SIZEOF(.data), ALIGNOF(.bss)) + SIZEOF(.bss))"
        if target.runs_from_ram:  # what start-up loads there comes first; sections are aligned between
            static = f"({static} + SIZEOF(.text) + SIZEOF(.rodata) + {STACK_ALIGN_BYTES})"
        size = f"({size} > {static} ? {size} - {static} : 0)"
    sections = _SECTIONS.format(
        code=target.region("code").name,
        constants=target.region("constants").name,
        stack=stack.name,
        data=data.name,
        stack_bytes=f"{size} & ~{STACK_ALIGN_BYTES - 1}",
    )
    return "MEMORY {\n" + "\n".join(lines) + "\n}\n" + sections
