// Code: the bytes are what stands at the kernel's entry, on a machine with data, a stack and code of three kinds of access.
#include <string.h>

#include "machine.h"
#include "target.h"

enum { TIMED = 1, PROFILE = 2, BARE = 4, AT_THE_END = 8, WRITABLE = 16, CONFIGURATION_SHIFT = 5 };
enum { CODE_BYTES = 16 << 10, DATA_BYTES = 64 << 10, STACK_BYTES = 4096, ARGUMENTS = 4, LIMIT_INSTRUCTIONS = 20000 };
static const uint64_t CODE = 0x80000000, DATA = 0x90000000, STACK = 0x8f000000, RETURN = 0x10000;

// Data is the input over and over: code can load addresses and operands that a fuzzer chose.
static void fill(uint8_t *to, size_t room, const uint8_t *from, size_t size) {
    for (size_t at = 0; size && at < room; at += size) memcpy(to + at, from, room - at < size ? room - at : size);
}

static void run(Machine *m, unsigned flags, const Region *code) {
    Hart *h = m->hart;
    h->traps_are_faults = h->allow_misaligned = !(flags & BARE);
    if (flags & BARE) h->tohost = DATA, h->fromhost = DATA + 64;
    h->profiling = flags & PROFILE && flags & TIMED;
    if (h->profiling) gemmini_profile_start(m->gemmini);
    gemmini_zero_fill(m->gemmini);
    h->limit_instructions = LIMIT_INSTRUCTIONS;
    h->limit_cycles = flags & TIMED ? 16 * LIMIT_INSTRUCTIONS : 0;
    h->reg[1] = h->return_pc = flags & BARE ? UINT64_MAX : RETURN;
    h->reg[2] = STACK + STACK_BYTES;
    for (unsigned i = 0; i < ARGUMENTS; i++) h->reg[10 + i] = DATA + i * (DATA_BYTES / ARGUMENTS);
    h->pc = h->last_jump_from = code->base;
    gemmini_mark(m->gemmini, 0);
    hart_run(h);
    if (!(flags & TIMED)) return;
    m->rocket->now = gemmini_fence(m->gemmini, m->rocket->now);
    if (h->profiling) write_profile(m, m->rocket->now);
}

void fuzz_code(const uint8_t *data, size_t size) {
    Input in = {data, size};
    unsigned flags = (unsigned)eat(&in, 1);
    char error[200];
    Machine *m = machine_of(flags >> CONFIGURATION_SHIFT & (CONFIGURATIONS - 1), flags & TIMED);
    // The address space's last byte cannot be mapped: a region's end would wrap around.
    uint64_t base = flags & AT_THE_END ? 0 - (uint64_t)CODE_BYTES : CODE, bytes = flags & AT_THE_END ? CODE_BYTES - 1 : CODE_BYTES;
    Region *code = memory_add(m->memory, base, bytes, MEM_R | MEM_X | (flags & WRITABLE ? MEM_W : 0), "code", error);
    fill(code->host, flags & AT_THE_END ? bytes : in.left < bytes ? in.left : bytes, in.at, in.left);
    Region *work = memory_add(m->memory, DATA, DATA_BYTES, MEM_R | MEM_W, "data", error);
    fill(work->host, DATA_BYTES, in.at, in.left);
    memory_add(m->memory, STACK, STACK_BYTES, MEM_R | MEM_W, "stack", error)->is_stack = 1;
    fault_clear();
    fault_locator(hart_locate, m->hart);
    if (setjmp(fault_jump) != 0) return;
    run(m, flags, memory_region(m->memory, base));
}
