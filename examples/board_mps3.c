/* The functions of a board for ratti_link.h: UART 0 of Arm's MPS3 board with the image AN547 (a CMSDK UART). */
#include "ratti_link.h"

void ratti_board_start(void);

#define UART ((volatile uint32_t *)0x49303000u)
enum { DATA, STATE, CTRL, INTERRUPT, DIVIDER };
enum { SEND_FULL = 1, RECEIVED = 2 };

extern int8_t __stack_bottom[];

void ratti_board_start(void)
{
    UART[DIVIDER] = 25000000 / 115200;
    UART[CTRL] = 3; /* send and receive */
}

int ratti_board_read(void)
{
    return UART[STATE] & RECEIVED ? (int)(UART[DATA] & 0xFF) : -1;
}

void ratti_board_write(uint8_t byte)
{
    while (UART[STATE] & SEND_FULL)
        ;
    UART[DATA] = byte;
}

int8_t *ratti_board_stack(void)
{
    return __stack_bottom;
}
