/* Counts instructions inside QEMU, by segment, as blockhook.c does inside unicorn: a segment is one step of the model,
   and starts whenever execution comes (back) to the entry function from outside of it.

   QEMU (7.2 and later) loads this with `-plugin FILE,shared=PATH`: a file that the parent has made, mapped by both. The
   parent writes the addresses before it starts QEMU, and sets the counters to zero while the processor rests. Only what
   is needed of qemu-plugin.h (version 1) is declared here. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef uint64_t plugin_id;
struct tb;

size_t qemu_plugin_tb_n_insns(const struct tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*translated)(plugin_id id, struct tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *tb, void (*executed)(unsigned cpu, void *user), int flags,
                                          void *user);

enum { NO_REGISTERS = 0, MOST_SEGMENTS = 4096 };
enum { RUNNING, TOO_MANY_SEGMENTS, OUTSIDE };

/* Known to qemu.py. */
struct shared {
    uint32_t code_start, code_bytes, entry_start, entry_end, idle, n_segments;
    volatile uint32_t status, at_idle, segments, was_in_entry, outside;
    uint32_t reserved;
    uint64_t instructions[MOST_SEGMENTS];
};

struct block {
    uint32_t address, instructions;
};

static struct shared *shared;

static void executed(unsigned cpu, void *user)
{
    const struct block *block = user;
    const uint32_t address = block->address;
    uint32_t in_entry;
    (void)cpu;
    if (address == shared->idle)
        shared->at_idle = 1;
    if (shared->at_idle) /* until the parent starts the next run */
        return;
    if (address - shared->code_start >= shared->code_bytes) {
        if (shared->status == RUNNING)
            shared->status = OUTSIDE, shared->outside = address;
        return;
    }
    in_entry = address >= shared->entry_start && address < shared->entry_end;
    if (in_entry && !shared->was_in_entry) {
        if (shared->segments == shared->n_segments)
            shared->status = TOO_MANY_SEGMENTS;
        else
            shared->segments++;
    }
    shared->was_in_entry = in_entry;
    shared->instructions[shared->segments ? shared->segments - 1 : 0] += block->instructions;
}

static void translated(plugin_id id, struct tb *tb)
{
    struct block *block = malloc(sizeof *block); /* as long as QEMU lives: it may run a translation at any time */
    (void)id;
    if (!block)
        abort();
    block->address = (uint32_t)qemu_plugin_tb_vaddr(tb);
    block->instructions = (uint32_t)qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS, block);
}

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int count, char **texts)
{
    static const char name[] = "shared=";
    int file;
    (void)info;
    if (count != 1 || strncmp(texts[0], name, sizeof name - 1))
        return 1;
    file = open(texts[0] + sizeof name - 1, O_RDWR);
    if (file < 0)
        return 1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
