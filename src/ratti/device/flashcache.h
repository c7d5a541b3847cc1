/* The accelerator between a core and its flash: how many cycles the core waits for code and for constants.

   Flash delivers units of `read_bytes` and takes wait_states + 1 cycles for one. Recently used lines stay in a small
   fully associative cache, least recently used out first; a line of several units fills unit by unit, with what was
   prefetched too. The prefetcher reads the next unit while the current one executes. Source of this behavior: RM0440,
   section 3.3.4 (that prefetched code is kept is our reading of it). Not modeled: code and data that ask for flash in
   the same cycle. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct lines {
    uint32_t n, line_bytes, read_bytes;
    uint32_t *tag, *units, *age; /* line number + 1, which of its units are there, when last used */
    uint32_t clock, last;        /* last: the slot used before, which is mostly the one used next */
};

struct flash {
    uint32_t start, bytes, read_bytes, wait_states;
    int prefetch;
    struct lines code, data;
    uint32_t code_unit, data_unit, executed; /* unit + 1 last delivered; instructions since then */
};

static int lines_init(struct lines *c, uint32_t n, uint32_t line_bytes, uint32_t read_bytes)
{
    *c = (struct lines){.n = n, .line_bytes = line_bytes, .read_bytes = read_bytes};
    if (!n)
        return 1;
    c->tag = calloc(n, sizeof *c->tag), c->units = calloc(n, sizeof *c->units), c->age = calloc(n, sizeof *c->age);
    return c->tag && c->units && c->age;
}

static void lines_free(struct lines *c) { free(c->tag), free(c->units), free(c->age); }

static void lines_clear(struct lines *c)
{
    if (c->n)
        memset(c->tag, 0, c->n * sizeof *c->tag), memset(c->age, 0, c->n * sizeof *c->age);
    c->clock = c->last = 0;
}

/* 1 where the unit at `offset` is there; it is afterwards in any case. */
static int lines_use(struct lines *c, uint32_t offset)
{
    if (!c->n)
        return 0;
    const uint32_t tag = offset / c->line_bytes + 1, unit = 1u << (offset % c->line_bytes / c->read_bytes);
    uint32_t slot = c->last;
    if (c->tag[slot] != tag) {
        uint32_t oldest = 0;
        for (slot = 0; slot < c->n && c->tag[slot] != tag; slot++)
            if (c->age[slot] < c->age[oldest])
                oldest = slot;
        if (slot == c->n) {
            slot = oldest;
            c->tag[slot] = tag, c->units[slot] = 0;
        }
        c->last = slot;
    }
    c->age[slot] = ++c->clock;
    const int there = (c->units[slot] & unit) != 0;
    c->units[slot] |= unit;
    return there;
}

static void flash_clear(struct flash *f)
{
    lines_clear(&f->code), lines_clear(&f->data);
    f->code_unit = f->data_unit = f->executed = 0;
}

/* Cycles that the core waits while it fetches a block. Its instructions are spread evenly over its units, a cycle each.
   Without a cache a jump reads anew, even within the current unit: the prefetcher has moved on. */
static uint32_t flash_fetch(struct flash *f, uint32_t address, uint32_t bytes, uint32_t instructions, int jumped)
{
    if (address - f->start >= f->bytes) {
        f->code_unit = 0;
        return 0;
    }
    if (jumped && !f->code.n)
        f->code_unit = 0;
    uint32_t stall = 0;
    const uint32_t first = (address - f->start) / f->read_bytes;
    const uint32_t last = (address - f->start + bytes - 1) / f->read_bytes;
    const uint32_t units = last - first + 1;
    for (uint32_t unit = first; unit <= last; unit++) {
        if (unit + 1 != f->code_unit) {
            if (!lines_use(&f->code, unit * f->read_bytes)) {
                uint32_t wait = f->wait_states;
                if (f->prefetch && unit == f->code_unit) /* the next one: on its way since the current one came */
                    wait = f->executed > wait ? 0 : wait + 1 - f->executed;
                stall += wait > f->wait_states ? f->wait_states : wait;
            }
            f->code_unit = unit + 1, f->executed = 0;
        }
        f->executed += instructions * (unit - first + 1) / units - instructions * (unit - first) / units;
    }
    return stall;
}

/* Cycles that the core waits for a constant. */
static uint32_t flash_read(struct flash *f, uint32_t address)
{
    const uint32_t unit = (address - f->start) / f->read_bytes;
    if (address - f->start >= f->bytes || unit + 1 == f->data_unit)
        return 0;
    f->data_unit = unit + 1;
    return lines_use(&f->data, unit * f->read_bytes) ? 0 : f->wait_states;
}
