"""From C sources to measured figures: compile, link, emulate, count, price.

    program     what arrives: C sources with one entry function, and where its tensors lie
    toolchain   ziglang compiles and links it at the part's real memory sizes (cores, linker, image, runtime/, cache)
    isa         every linked instruction must exist on the part
    emulator    runs it in a worker process of its own (worker, machine, blockhook.c; faults puts errors into words);
                cores that unicorn does not model run in QEMU, where installed (qemu, gdb, qemuplugin.c)
    cycles      what a basic block costs on a core, by a cited table (pricing)
    measure     the facade: one program, one target, inputs in, a `Measurement` out
    host        the same C on this computer, plain or under a sanitizer

Importing this package costs nothing: the emulator and the disassembler are imported by the worker alone.
"""
