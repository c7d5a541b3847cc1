/* Counts basic blocks natively, inside the emulator: a callback in Python would cost ten times the run.

   The emulator calls `hook_block` at the start of each translated block. A block is known by its address; each has a
   row of counters, one a segment. A segment is one step of the model: it starts whenever execution comes (back) to the
   entry function from outside of it. Times: tens of nanoseconds a block. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flashcache.h"
#include "stackreach.h"

typedef int (*stop_function)(void *engine);
typedef int (*register_function)(void *engine, int id, void *value);

enum { RUNNING, TIMED_OUT, TOO_MANY_SEGMENTS, INCONSISTENT, NO_MEMORY, OUTSIDE, MISALIGNED };
enum { MEMORY_READ = 16 }; /* unicorn's UC_MEM_READ */
enum { CLOCK_EVERY = 1 << 16, NONE = -1 };

struct block {
    uint32_t address, bytes, instructions, reach;
};

struct hook {
    stop_function stop;
    register_function read_register, write_register;
    int sp_register, pc_register, status_register, is_thumb;
    uint32_t code_start, code_bytes, entry_start, entry_end, idle;
    const uint8_t *code;
    int32_t *ids; /* one per halfword of code: number of the block that starts there, or NONE */
    struct block *blocks;
    uint64_t *counts, *falls; /* [block][segment]; falls: the next block followed in memory */
    uint32_t n_blocks, max_blocks, n_segments;
    int32_t segment;
    int64_t previous; /* cell of the block before in counts and falls, or NONE */
    uint32_t previous_end, previous_in_entry;
    uint32_t lowest_sp, until_clock;
    double deadline;
    int status;
    uint32_t fault_pc, fault_address;
    struct flash *flash; /* NULL: no waiting is counted */
    uint64_t *stalls;    /* [segment] */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void hook_free(struct hook *h)
{
    if (!h)
        return;
    if (h->flash)
        lines_free(&h->flash->code), lines_free(&h->flash->data);
    free(h->flash), free(h->stalls), free(h->ids), free(h->blocks), free(h->counts), free(h->falls), free(h);
}

/* `code` must outlive the hook. NULL where memory is short. */
struct hook *hook_new(stop_function stop, register_function read_register, register_function write_register,
                      int sp_register, int pc_register, int status_register, int is_thumb, uint32_t code_start,
                      uint32_t code_bytes, const uint8_t *code, uint32_t entry_start, uint32_t entry_end,
                      uint32_t idle, uint32_t n_segments)
{
    struct hook *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->stop = stop, h->read_register = read_register, h->write_register = write_register;
    h->sp_register = sp_register, h->pc_register = pc_register, h->status_register = status_register;
    h->is_thumb = is_thumb;
    h->code_start = code_start, h->code_bytes = code_bytes, h->code = code;
    h->entry_start = entry_start, h->entry_end = entry_end, h->idle = idle, h->n_segments = n_segments;
    h->ids = malloc(sizeof *h->ids * (code_bytes / 2 + 1));
    if (!h->ids) {
        hook_free(h);
        return NULL;
    }
    memset(h->ids, 0xff, sizeof *h->ids * (code_bytes / 2 + 1));
    return h;
}

/* Count waiting for flash from now on. 0 where memory is short. */
int hook_flash(struct hook *h, uint32_t start, uint32_t bytes, uint32_t wait_states, uint32_t read_bytes, int prefetch,
               uint32_t line_bytes, uint32_t code_lines, uint32_t data_lines)
{
    h->flash = calloc(1, sizeof *h->flash);
    h->stalls = calloc(h->n_segments, sizeof *h->stalls);
    if (!h->flash || !h->stalls)
        return 0;
    *h->flash = (struct flash){
        .start = start, .bytes = bytes, .read_bytes = read_bytes, .wait_states = wait_states, .prefetch = prefetch};
    return lines_init(&h->flash->code, code_lines, line_bytes, read_bytes) &&
           lines_init(&h->flash->data, data_lines, line_bytes, read_bytes);
}

/* Before each run: all counters to zero; known blocks stay known. */
void hook_reset(struct hook *h, double seconds)
{
    const size_t bytes = sizeof(uint64_t) * h->n_blocks * h->n_segments;
    if (bytes)
        memset(h->counts, 0, bytes), memset(h->falls, 0, bytes);
    h->segment = NONE, h->previous = NONE, h->previous_in_entry = 0;
    h->lowest_sp = UINT32_MAX, h->until_clock = CLOCK_EVERY, h->status = RUNNING;
    h->deadline = now() + seconds;
    if (h->flash) {
        flash_clear(h->flash);
        memset(h->stalls, 0, h->n_segments * sizeof *h->stalls);
    }
}

static uint32_t count_instructions(const struct hook *h, uint32_t offset, uint32_t bytes)
{
    uint32_t n = 0;
    for (uint32_t end = offset + bytes; offset < end; n++) {
        const uint32_t low = h->code[offset], high = h->code[offset + 1];
        const int is_long = h->is_thumb ? high >= 0xe8 : (low & 3) == 3;
        offset += is_long ? 4 : 2;
    }
    return n;
}

static int32_t new_block(struct hook *h, uint32_t address, uint32_t bytes)
{
    if (h->n_blocks == h->max_blocks) {
        const uint32_t room = h->max_blocks ? 2 * h->max_blocks : 256;
        struct block *blocks = realloc(h->blocks, sizeof *blocks * room);
        if (blocks)
            h->blocks = blocks;
        uint64_t *counts = realloc(h->counts, sizeof *counts * room * h->n_segments);
        if (counts)
            h->counts = counts;
        uint64_t *falls = realloc(h->falls, sizeof *falls * room * h->n_segments);
        if (falls)
            h->falls = falls;
        if (!blocks || !counts || !falls)
            return NONE;
        h->max_blocks = room;
    }
    const int32_t id = (int32_t)h->n_blocks++;
    const size_t row = (size_t)id * h->n_segments;
    memset(h->counts + row, 0, sizeof *h->counts * h->n_segments);
    memset(h->falls + row, 0, sizeof *h->falls * h->n_segments);
    const uint32_t offset = address - h->code_start;
    h->blocks[id] = (struct block){address, bytes, count_instructions(h, offset, bytes),
                                   stack_reach(h->code + offset, bytes, h->is_thumb)};
    h->ids[offset >> 1] = id;
    return id;
}

static void halt(struct hook *h, void *engine, int status)
{
    if (h->status == RUNNING)
        h->status = status;
    h->stop(engine);
}

void hook_block(void *engine, uint64_t address64, uint32_t bytes, void *user)
{
    struct hook *h = user;
    const uint32_t address = (uint32_t)address64, offset = address - h->code_start;
    if (address == h->idle)
        return;
    if (offset >= h->code_bytes || bytes > h->code_bytes - offset) {
        halt(h, engine, OUTSIDE);
        return;
    }
    const int in_entry = address >= h->entry_start && address < h->entry_end;
    if (in_entry && !h->previous_in_entry && ++h->segment >= (int32_t)h->n_segments) {
        h->segment = (int32_t)h->n_segments - 1;
        halt(h, engine, TOO_MANY_SEGMENTS);
        return;
    }
    const size_t segment = h->segment < 0 ? 0 : (size_t)h->segment;
    int32_t id = h->ids[offset >> 1];
    if (id == NONE) {
        id = new_block(h, address, bytes);
        if (id == NONE) {
            halt(h, engine, NO_MEMORY);
            return;
        }
    } else if (h->blocks[id].bytes != bytes) {
        halt(h, engine, INCONSISTENT);
        return;
    }
    const int falls = h->previous != NONE && address == h->previous_end;
    if (falls)
        h->falls[h->previous]++;
    const size_t cell = (size_t)id * h->n_segments + segment;
    const uint32_t reach = h->blocks[id].reach;
    if (!h->counts[cell]++ || reach) { /* always where a frame is made, else once per block and segment */
        uint32_t sp = 0;
        h->read_register(engine, h->sp_register, &sp);
        if (sp - reach < h->lowest_sp)
            h->lowest_sp = sp - reach;
    }
    if (h->flash)
        h->stalls[segment] += flash_fetch(h->flash, address, bytes, h->blocks[id].instructions, !falls);
    h->previous = (int64_t)cell, h->previous_end = address + bytes, h->previous_in_entry = (uint32_t)in_entry;
    if (!--h->until_clock) {
        h->until_clock = CLOCK_EVERY;
        if (now() > h->deadline)
            halt(h, engine, TIMED_OUT);
    }
}

/* Armv7-M lets single loads and stores be unaligned, but no LDM, STM, LDRD, STRD, PUSH, POP, VLDR, VSTR (DDI0403,
   A3.2.1). Armv6-M and our RISC-V parts let none; the emulator catches the former itself. */
static int must_be_aligned(struct hook *h, void *engine)
{
    if (!h->is_thumb)
        return 1;
    uint32_t pc = 0;
    h->read_register(engine, h->pc_register, &pc);
    const uint32_t offset = pc - h->code_start;
    if (offset >= h->code_bytes)
        return 0;
    const uint32_t first = h->code[offset] | (uint32_t)h->code[offset + 1] << 8;
    return first >> 12 == 0xC || (first & 0xF600) == 0xB400 || first >> 9 == 0x74 || first >> 9 == 0x76;
}

/* Before a memory hook the emulator writes the state of an IT block to the status register and forgets to clear it
   after: the code behind the block would run as if it were inside. (unicorn 2.1.4) */
static void leave_it_block(struct hook *h, void *engine)
{
    const uint32_t it_bits = 0x0600FC00u;
    uint32_t status = 0;
    h->read_register(engine, h->status_register, &status);
    if (status & it_bits) {
        status &= ~it_bits;
        h->write_register(engine, h->status_register, &status);
    }
}

/* Called for each access to memory that is watched. */
void hook_access(void *engine, int type, uint64_t address64, int bytes, int64_t value, void *user)
{
    (void)value;
    struct hook *h = user;
    const uint32_t address = (uint32_t)address64;
    if (h->is_thumb)
        leave_it_block(h, engine);
    if ((address & ((uint32_t)bytes - 1)) && must_be_aligned(h, engine)) {
        if (h->status == RUNNING)
            h->read_register(engine, h->pc_register, &h->fault_pc), h->fault_address = address;
        halt(h, engine, MISALIGNED);
    }
    if (h->flash && type == MEMORY_READ)
        h->stalls[h->segment < 0 ? 0 : h->segment] += flash_read(h->flash, address);
}

uint32_t hook_fault_pc(const struct hook *h) { return h->fault_pc; }
uint32_t hook_fault_address(const struct hook *h) { return h->fault_address; }
int hook_status(const struct hook *h) { return h->status; }
uint32_t hook_lowest_sp(const struct hook *h) { return h->lowest_sp; }
uint32_t hook_n_blocks(const struct hook *h) { return h->n_blocks; }
uint32_t hook_segments(const struct hook *h) { return (uint32_t)(h->segment + 1); }
const struct block *hook_blocks(const struct hook *h) { return h->blocks; }
const uint64_t *hook_counts(const struct hook *h) { return h->counts; }
const uint64_t *hook_falls(const struct hook *h) { return h->falls; }

const uint64_t *hook_stalls(const struct hook *h) { return h->stalls; }

/* Instructions of each segment into `out`. */
void hook_instructions(const struct hook *h, uint64_t *out)
{
    memset(out, 0, sizeof *out * h->n_segments);
    for (uint32_t b = 0; b < h->n_blocks; b++)
        for (uint32_t s = 0; s < h->n_segments; s++)
            out[s] += h->counts[(size_t)b * h->n_segments + s] * h->blocks[b].instructions;
}
