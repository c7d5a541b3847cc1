/* The smallest main: rest where the emulator starts each inference. A product's main calls the model instead. */
#include <stdint.h>

#ifndef RATTI_ARENA_BYTES
#error "RATTI_ARENA_BYTES is the size of the model's arena"
#endif

__attribute__((aligned(16), used)) int8_t ratti_arena[RATTI_ARENA_BYTES];

__attribute__((noinline, used)) void ratti_idle(void)
{
    /* No WFI: a processor that sleeps does not go on where the emulator sends it. */
    for (;;)
        __asm__ volatile("" ::"r"(ratti_arena)); /* the operand keeps the arena in the image */
}

__attribute__((weak)) int main(void)
{
    ratti_idle();
    return 0;
}
