/* What the linker script defines and both start-up files use. */
#include <stdint.h>

extern uint32_t __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[], __stack_top[];

int main(void);

/* Initialized data from flash to RAM, then zeros. */
static inline void ratti_init_ram(void)
{
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to != __data_end;)
        *to++ = *from++;
    for (uint32_t *to = __bss_start; to != __bss_end;)
        *to++ = 0;
}
