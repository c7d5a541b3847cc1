/* Counts basic blocks natively, inside the emulator: a callback in Python would cost ten times the run.

   The emulator calls `hook_block` at the start of each translated block. A block is known by its address; each has a
   row of counters, one a segment. A segment is one step of the model: it starts whenever execution comes (back) to the
   entry function from outside of it. Times: tens of nanoseconds a block. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int (*stop_function)(void *engine);
typedef int (*register_function)(void *engine, int id, void *value);

enum { RUNNING = 0, TIMED_OUT = 1, TOO_MANY_SEGMENTS = 2, INCONSISTENT = 3, NO_MEMORY = 4, OUTSIDE = 5 };
enum { CLOCK_EVERY = 1 << 16, NONE = -1 };

struct block {
    uint32_t address, bytes, instructions;
};

struct hook {
    stop_function stop;
    register_function read_register;
    int sp_register, is_thumb;
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
    free(h->ids), free(h->blocks), free(h->counts), free(h->falls), free(h);
}

/* `code` must outlive the hook. NULL where memory is short. */
struct hook *hook_new(stop_function stop, register_function read_register, int sp_register, int is_thumb,
                      uint32_t code_start, uint32_t code_bytes, const uint8_t *code, uint32_t entry_start,
                      uint32_t entry_end, uint32_t idle, uint32_t n_segments)
{
    struct hook *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->stop = stop, h->read_register = read_register, h->sp_register = sp_register, h->is_thumb = is_thumb;
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

/* Before each run: all counters to zero; known blocks stay known. */
void hook_reset(struct hook *h, double seconds)
{
    const size_t bytes = sizeof(uint64_t) * h->n_blocks * h->n_segments;
    if (bytes)
        memset(h->counts, 0, bytes), memset(h->falls, 0, bytes);
    h->segment = NONE, h->previous = NONE, h->previous_in_entry = 0;
    h->lowest_sp = UINT32_MAX, h->until_clock = CLOCK_EVERY, h->status = RUNNING;
    h->deadline = now() + seconds;
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
    h->blocks[id] = (struct block){address, bytes, count_instructions(h, address - h->code_start, bytes)};
    h->ids[(address - h->code_start) >> 1] = id;
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
    if (h->previous != NONE && address == h->previous_end)
        h->falls[h->previous]++;
    const size_t cell = (size_t)id * h->n_segments + segment;
    if (!h->counts[cell]++) {
        uint32_t sp = 0; /* once per block and segment is enough, and free */
        h->read_register(engine, h->sp_register, &sp);
        if (sp < h->lowest_sp)
            h->lowest_sp = sp;
    }
    h->previous = (int64_t)cell, h->previous_end = address + bytes, h->previous_in_entry = (uint32_t)in_entry;
    if (!--h->until_clock) {
        h->until_clock = CLOCK_EVERY;
        if (now() > h->deadline)
            halt(h, engine, TIMED_OUT);
    }
}

int hook_status(const struct hook *h) { return h->status; }
uint32_t hook_lowest_sp(const struct hook *h) { return h->lowest_sp; }
uint32_t hook_n_blocks(const struct hook *h) { return h->n_blocks; }
uint32_t hook_segments(const struct hook *h) { return (uint32_t)(h->segment + 1); }
const struct block *hook_blocks(const struct hook *h) { return h->blocks; }
const uint64_t *hook_counts(const struct hook *h) { return h->counts; }
const uint64_t *hook_falls(const struct hook *h) { return h->falls; }

/* Instructions of each segment into `out`. */
void hook_instructions(const struct hook *h, uint64_t *out)
{
    memset(out, 0, sizeof *out * h->n_segments);
    for (uint32_t b = 0; b < h->n_blocks; b++)
        for (uint32_t s = 0; s < h->n_segments; s++)
            out[s] += h->counts[(size_t)b * h->n_segments + s] * h->blocks[b].instructions;
}
