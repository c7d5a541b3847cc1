/* Start-up for RISC-V: stack and global pointer, then RAM. */
#include "start.h"

__attribute__((noreturn, used)) static void ratti_start(void)
{
    ratti_init_ram();
    main();
    for (;;)
        ;
}

__attribute__((naked, noreturn, section(".vectors"), used)) void Reset(void)
{
    __asm__ volatile(
        ".option push\n\t.option norelax\n\t"
        "la gp, __global_pointer$\n\t"
        ".option pop\n\t"
        "la sp, __stack_top\n\t"
        "j %0" ::"i"(ratti_start));
}
