/* A model behind a serial line: inputs in, outputs, a counter and the use of the stack out.

   The board gives two functions, and two more if it can. Call ratti_link_poll in a loop. */
#ifndef RATTI_LINK_H
#define RATTI_LINK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t offset, bytes; /* in the arena */
} ratti_link_slot;

typedef struct {
    void (*run)(int8_t *arena);
    uint32_t arena_bytes, model[2]; /* model: which one this is, a hash */
    uint8_t inputs, outputs;
    const ratti_link_slot *slots; /* those of the inputs, then those of the outputs */
} ratti_link_model;

/* What the board gives: the next byte that came, or -1 where there is none; and sending one. */
int ratti_board_read(void);
void ratti_board_write(uint8_t byte);

/* What it may give. A counter that wraps after 32 bits, what it counts and, for cycles, how many a second; and the
   lowest address of the stack. link.c has weak ones that give nothing (but the cycle counter of Armv7-M and later). */
enum { RATTI_COUNTS_NOTHING, RATTI_COUNTS_CYCLES, RATTI_COUNTS_INSTRUCTIONS };
uint32_t ratti_board_count(void);
int ratti_board_counts(void);
uint32_t ratti_board_clock_hz(void);
int8_t *ratti_board_stack(void);

/* Takes one byte, if one came, and answers where it ends a request. The arena is used by requests alone. */
void ratti_link_poll(const ratti_link_model *model, int8_t *arena);

#ifdef __cplusplus
}
#endif

#endif
