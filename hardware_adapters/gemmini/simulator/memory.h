// The physical address space of the simulated machine: a few regions with permissions. Every access of the core and of
// the DMA goes through memory_at(); what no region allows is the kernel's fault, explained by its nearest region.
#ifndef GEMSIM_MEMORY_H
#define GEMSIM_MEMORY_H

#include <stdint.h>

enum { MEM_R = 1, MEM_W = 2, MEM_X = 4 };

enum { MEMORY_MAX_REGIONS = 64, MEMORY_NAME_BYTES = 48 };

typedef struct Region {
    uint64_t base, bytes;
    unsigned access;              // MEM_R | MEM_W | MEM_X
    int is_stack;                 // accesses just below it are diagnosed as stack_overflow
    int is_buffer;                // argument of the kernel: DMA traffic is counted per buffer
    uint64_t bytes_in, bytes_out; // DMA traffic since memory_zero_traffic(): out of / into this region
    uint8_t *host;
    uint8_t *unfenced;                    // a bit per byte that a DMA wrote since the last fence; NULL: none ever did
    uint64_t unfenced_low, unfenced_high; // such bytes lie in here
    char name[MEMORY_NAME_BYTES]; // "C", "stack", ".text", ...
} Region;

typedef struct Memory Memory;

Memory *memory_new(void);
void memory_free(Memory *);
void memory_clear(Memory *); // removes every region

// Adds a zero-filled region. NULL with a text in error[] when it overlaps another one, wraps around, or the total exceeds
// MEMORY_TOTAL_BYTES (1 GiB).
Region *memory_add(Memory *, uint64_t base, uint64_t bytes, unsigned access, const char *name, char error[200]);

// Host pointer to `bytes` contiguous bytes, or a fault (illegal_address, stack_overflow). `who` starts the message: "load",
// "store", "fetch", "mvin", "mvout".
uint8_t *memory_at(Memory *, uint64_t addr, uint64_t bytes, unsigned access, const char *who);

// The same without a fault: NULL when not allowed.
uint8_t *memory_try(Memory *, uint64_t addr, uint64_t bytes, unsigned access);

// Region that holds addr, or NULL.
Region *memory_region(Memory *, uint64_t addr);

// Text such as "8 bytes past the end of C (read-write, 0x90002000..0x90002400)".
void memory_explain(Memory *, uint64_t addr, char *text, uint64_t text_bytes);

// DMA traffic per region, for the profile: called by the accelerator for each row moved.
void memory_count_dma(Memory *, uint64_t addr, uint64_t bytes, int into_memory);
void memory_zero_traffic(Memory *);

// Who orders what: a DMA's writes have arrived only after a fence. Nothing is followed before memory_watch(); from then on
// memory_stored() notes each write of a DMA, memory_ordered() raises missing_fence for an access (of the core, or of another
// DMA's load) to such bytes, and memory_fence() ends all of it.
void memory_watch(Memory *);
void memory_stored(Memory *, uint64_t addr, uint64_t bytes);
void memory_ordered(Memory *, uint64_t addr, uint64_t bytes, const char *who);
void memory_fence(Memory *);
int memory_unfenced(const Memory *);                      // regions with such bytes
int memory_region_unfenced(const Memory *, const Region *);

int memory_count(const Memory *);
Region *memory_get(Memory *, int index);

#endif
