/* The block's shared memory: one slot per declared array with unusable words between them, and the dynamic part at the
   end, all poisoned before each block. Slots are found by the address of a marker that each declaration has. */
#include "cpusim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_SLOTS 64
#define RED_ZONE 256u
#define POISON 0xFF /* a NaN in every floating type */

typedef struct {
    const void *key;
    const char *name;
    uint32_t offset, bytes;
    const uint64_t *extents;
} Slot;
static Slot slots[MAX_SLOTS];
static unsigned slot_count;
static uint32_t next_offset, dynamic_bytes;
uintptr_t shared_base;
uint8_t shared_valid[SHARED_SPAN / 4];
Cell shared_cells[SHARED_SPAN / 4];

void shared_init(void) {
    char *area = mmap(NULL, SHARED_SPAN + (64u << 10), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) broken("no shared memory");
    shared_base = ((uintptr_t)area + 65535) & ~(uintptr_t)65535;
}

static void make_valid(uint32_t offset, uint32_t bytes) {
    uint32_t words = bytes / 4;
    memset(shared_valid + offset / 4, 15, words);
    if (bytes % 4) shared_valid[offset / 4 + words] = (uint8_t)((1u << bytes % 4) - 1);
}

void shared_launch(uint64_t dynamic) {
    memset(shared_valid, 0, sizeof shared_valid);
    slot_count = 0;
    next_offset = RED_ZONE;
    dynamic_bytes = (uint32_t)dynamic;
    make_valid(DYNAMIC_AT, dynamic_bytes);
}

void shared_block(void) {
    for (unsigned i = 0; i < slot_count; i++) memset((void *)(shared_base + slots[i].offset), POISON, slots[i].bytes);
    memset((void *)(shared_base + DYNAMIC_AT), POISON, dynamic_bytes);
}

/* Called where a kernel declares a __shared__ variable: its place in the block. */
void *cpusim_shared(const void *key, uint64_t bytes, uint64_t align, const char *name, int line, const uint64_t *extents) {
    for (unsigned i = 0; i < slot_count; i++)
        if (slots[i].key == key) return (void *)(shared_base + slots[i].offset);
    if (mode != DEVICE) fault("bad_call", 0, line, "shared memory is used outside of a kernel");
    running->static_bytes = ((running->static_bytes + align - 1) & ~(align - 1)) + bytes;
    if (running->static_bytes > 48 * 1024)
        fault("shared_memory", 0, line, "the kernel declares %llu bytes of shared memory, at most 49152 can be declared: "
              "more is to be had as dynamic shared memory", (unsigned long long)running->static_bytes);
    if (running->static_bytes + dynamic_bytes > job.shared_limit)
        fault("shared_memory", 0, line, "the block needs %llu bytes of shared memory, the device has %llu per block",
              (unsigned long long)(running->static_bytes + dynamic_bytes), (unsigned long long)job.shared_limit);
    if (slot_count == MAX_SLOTS) fault("unsupported", 0, line, "more than %d shared variables in a kernel", MAX_SLOTS);
    uint32_t offset = (next_offset + 127) & ~127u;
    next_offset = offset + (uint32_t)bytes + RED_ZONE;
    if (next_offset > DYNAMIC_AT) fault("shared_memory", 0, line, "too many shared variables");
    slots[slot_count++] = (Slot){key, name, offset, (uint32_t)bytes, extents};
    make_valid(offset, (uint32_t)bytes);
    memset((void *)(shared_base + offset), POISON, bytes);
    return (void *)(shared_base + offset);
}

/* Whether an array type, say "float[16]", may be a shared array or a row of one: whose flat use is usual, and whose bounds
   are checked by address. */
int shared_has_shape(const char *type) {
    uint64_t wanted[8];
    int rank = 0;
    for (const char *at = strchr(type, '['); at && rank < 8; at = strchr(at + 1, '[')) wanted[rank++] = strtoull(at + 1, NULL, 10);
    for (unsigned i = 0; i < slot_count; i++) {
        int dimensions = 0, same = 1;
        while (slots[i].extents[dimensions]) dimensions++;
        if (rank == 0 || rank > dimensions) continue;
        for (int d = 0; d < rank; d++) same &= slots[i].extents[dimensions - rank + d] == wanted[d];
        if (same) return 1;
    }
    return 0;
}

void *cpusim_dynamic(void) { return (void *)(shared_base + DYNAMIC_AT); }

void shared_describe(uintptr_t address, char *text, size_t room) {
    uint32_t offset = (uint32_t)(address - shared_base);
    const Slot *nearest = NULL;
    long distance = 1 << 30;
    for (unsigned i = 0; i < slot_count; i++) {
        long past = (long)offset - (long)(slots[i].offset + slots[i].bytes), before = (long)slots[i].offset - (long)offset;
        long away = past >= 0 ? past : before > 0 ? before : -1;
        if (away < distance) distance = away, nearest = &slots[i];
    }
    if (offset >= DYNAMIC_AT - RED_ZONE || !nearest) {
        snprintf(text, room, "byte %ld of the %u bytes of dynamic shared memory", (long)offset - (long)DYNAMIC_AT, dynamic_bytes);
        return;
    }
    snprintf(text, room, "byte %ld of the %u bytes of shared '%s'", (long)offset - (long)nearest->offset, nearest->bytes, nearest->name);
}
