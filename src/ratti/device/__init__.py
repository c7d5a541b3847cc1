"""From C sources to measured figures: compile, link, emulate, count, price.

    toolchain   ziglang compiles and links firmware at the part's real memory sizes
    isa         every linked instruction must exist on the part
    emulator    runs the firmware in a worker process of its own (worker, machine, blockhook.c)
    cycles      what a basic block costs on a core, by a cited table
    measure     the facade: one program, one target, inputs in, a `Measurement` out

Importing this package costs nothing: the emulator and the disassembler are imported by the worker alone.
"""
