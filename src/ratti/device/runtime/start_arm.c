/* Start-up for Cortex-M: the vector table and Reset. */
#include "start.h"

#if defined(__ARM_FP)
#define CPACR (*(volatile uint32_t *)0xE000ED88u) /* coprocessor access control register, Armv7-M B3.2.20 */
#endif

void Reset(void)
{
#if defined(__ARM_FP)
    CPACR |= 0xFu << 20; /* full access to the FPU, before anything uses it */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    ratti_init_ram();
    main();
    for (;;)
        ;
}

static void fault(void)
{
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handler[15])(void);
} vectors = {__stack_top, {Reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};
