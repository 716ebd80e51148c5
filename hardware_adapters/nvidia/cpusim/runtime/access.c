/* What the compiler's hooks report: each load and store of the kernel, before it happens. Checked here: that it lies
   inside what was declared, that shared memory was written before it is read, and that no two threads touch the same
   word without order between them.

   Order is counted in segments, one per block and barrier: words touched in the same segment by different threads have no
   order, unless both are lanes of one warp and a warp-wide operation lay between. Blocks have no order at all, but for
   the idiom "write, __threadfence, atomic; atomic, read" by which the last block finds the others' results. */
#include "cpusim.h"
#include <stdio.h>
#include <string.h>

int pending_write, relaxed;
static struct {
    uintptr_t address, pc;
    unsigned size;
    int line, shared, other_block, after_read;
    unsigned other_tid;
    uint8_t before[16];
} pending;

static void where(uintptr_t address, unsigned size, int shared, char *text, size_t room) {
    if (shared) shared_describe(address, text, room);
    else memory_describe(address, size, text, room);
}

/* A write that had no order against an earlier access has happened by now: equal values are harmless. */
void access_settle(void) {
    char text[160];
    pending_write = 0;
    if (!memcmp((void *)pending.address, pending.before, pending.size)) return;
    where(pending.address, pending.size, pending.shared, text, sizeof text);
    fault(pending.shared ? "race_shared" : "race_global", pending.pc, pending.line, "%s is written here and %s by %s %u: nothing orders the two%s",
          text, pending.after_read ? "read" : "written", pending.other_block ? "another block, thread" : "thread", pending.other_tid,
          pending.shared ? " (a missing __syncthreads?)" : "");
}

static void suspect(uintptr_t address, unsigned size, uintptr_t pc, int line, int shared, int other_block, int after_read, unsigned tid) {
    if (pending_write) return;
    pending.address = address;
    pending.size = size;
    pending.pc = pc;
    pending.line = line;
    pending.shared = shared;
    pending.other_block = other_block;
    pending.after_read = after_read;
    pending.other_tid = tid;
    memcpy(pending.before, (void *)address, size);
    pending_write = 1;
}

/* Whether an access in this launch that left `seg` and `who` has no order against one by the current thread now. */
static inline int unordered(uint32_t seg, uint32_t who, int shared) {
    if (seg == segment) {
        uint32_t tid = who & TID;
        if (tid == current->tid) return 0;
        return tid / WARP != current->warp || (uint16_t)(who >> EPOCH_AT) == warp_epoch[current->warp];
    }
    return !shared && seg < block_first && seg >= launch_first && !(seg <= last_fence && block_has_atomics);
}

static void race_on_read(uintptr_t address, unsigned size, uintptr_t pc, int line, int shared, const Cell *cell) {
    char text[160];
    where(address, size, shared, text, sizeof text);
    fault(shared ? "race_shared" : "race_global", pc, line, "%s is read here while %s %u writes it: nothing orders the two%s", text,
          cell->write_segment < block_first ? "another block, thread" : "thread", cell->write_who & TID,
          shared ? " (a missing __syncthreads?)" : "");
}

static void touch(Cell *cell, uint32_t bytes, uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line, int shared) {
    uint32_t me = current->tid | bytes << BYTES_AT | (uint32_t)warp_epoch[current->warp] << EPOCH_AT;
    if (op != STORE) {
        if (shared && cell->write_segment < block_first) {
            char text[160];
            shared_describe(address, text, sizeof text);
            fault("uninitialised_shared", pc, line, "%s is read, but no thread of the block has written it by then (a missing __syncthreads?)", text);
        }
        if (!shared && !cell->write_segment)
            note("uninitialised_global", pc, line, "an output or the scratch area is read before anything was written there");
    }
    if (op == LOAD) {
        int waits = relaxed && !shared;
        if (waits) block_has_atomics = 1;
        if (!waits && (cell->write_who & BYTES & me) && unordered(cell->write_segment, cell->write_who, shared))
            race_on_read(address, size, pc, line, shared, cell);
        if (cell->read_segment != segment) {
            cell->read_segment = segment;
            cell->read_who = me;
        } else if ((cell->read_who & TID) != current->tid) {
            uint32_t same_warp = (cell->read_who & TID) / WARP == current->warp;
            if (!same_warp) cell->read_who |= BY_BLOCK;
            else if ((cell->read_who >> EPOCH_AT) == (me >> EPOCH_AT)) cell->read_who |= BY_WARP | (me & BYTES);
            else cell->read_who = me | (cell->read_who & BY_BLOCK);
        } else
            cell->read_who = (cell->read_who & 0xFFFF) | (me & (BYTES | 0xFFFF0000u));
        return;
    }
    uint32_t atomic = op == ATOMIC || (relaxed && !shared) ? ATOMICALLY : 0;
    if (!(atomic & cell->write_who) && (cell->write_who & BYTES & me) && unordered(cell->write_segment, cell->write_who, shared))
        suspect(address, size, pc, line, shared, cell->write_segment < block_first, 0, cell->write_who & TID);
    if ((cell->read_who & BYTES & me) && cell->read_segment >= launch_first && !pending_write) {
        uint32_t who = cell->read_who;
        int several = cell->read_segment == segment &&
                      ((who & BY_BLOCK) || ((who & BY_WARP) && ((who & TID) / WARP != current->warp || who >> EPOCH_AT == me >> EPOCH_AT)));
        if (several || unordered(cell->read_segment, who, shared))
            suspect(address, size, pc, line, shared, cell->read_segment < block_first, 1, who & TID);
    }
    cell->write_segment = segment;
    cell->write_who = me | atomic;
}

static void touch_all(Cell *cells, uintptr_t offset, uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line, int shared) {
    if (size >= 4 && !(offset & 3)) {
        for (unsigned at = 0; at < size; at += 4)
            touch(&cells[(offset + at) / 4], size - at >= 4 ? 15 : (1u << (size - at)) - 1, address, size, op, pc, line, shared);
        return;
    }
    for (unsigned at = 0; at < size;) { /* parts of words */
        uintptr_t byte = offset + at;
        unsigned room = 4 - (byte & 3), part = size - at < room ? size - at : room;
        touch(&cells[byte / 4], ((1u << part) - 1) << (byte & 3), address, size, op, pc, line, shared);
        at += part;
    }
}

static int shared_inside(uintptr_t offset, unsigned size) {
    for (unsigned at = 0; at < size; at++)
        if (!(shared_valid[(offset + at) / 4] >> ((offset + at) & 3) & 1)) return 0;
    return 1;
}

static void on_shared(uintptr_t offset, uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line) {
    if (unlikely(offset + size > SHARED_SPAN || !(size == 4 && !(offset & 3) ? shared_valid[offset / 4] == 15 : shared_inside(offset, size)))) {
        char text[160];
        shared_describe(address, text, sizeof text);
        fault("out_of_bounds", pc, line, "%s of %u bytes at %s", op == LOAD ? "a load" : "a store", size, text);
    }
    touch_all(shared_cells, offset, address, size, op, pc, line, 1);
    if (job.trace) trace_access(address, size, op, SHARED, pc, line);
}

static void on_device(uintptr_t offset, uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line) {
    const Buffer *buffer = memory_buffer(address);
    if (unlikely(!buffer || address < (uintptr_t)buffer->data || address + size > (uintptr_t)buffer->data + buffer->bytes)) {
        char text[160];
        memory_describe(address, size, text, sizeof text);
        fault("out_of_bounds", pc, line, "%s of %u bytes at %s", op == LOAD ? "a load" : "a store", size, text);
    }
    if (buffer->role != 0) touch_all(device_cells, offset, address, size, op, pc, line, 0);
    else if (unlikely(op != LOAD)) fault("input_written", pc, line, "the input '%s' is written: inputs are read-only", buffer->name);
    if (job.trace) trace_access(address, size, op, GLOBAL, pc, line);
}

extern char cpusim_parameters[];
extern uint64_t cpusim_parameter_bytes;

extern const uint3 threadIdx, blockIdx, blockDim, gridDim;
static int is_builtin(uintptr_t address, const uint3 *variable) { return address - (uintptr_t)variable < sizeof *variable; }

/* A thread has 255 registers of 4 bytes. What lies deeper on its stack than twice that is an array in local memory, where
   the words of neighbouring lanes lie side by side. */
#define MOST_IN_REGISTERS 2048
static uintptr_t local_place(uintptr_t depth) { return (depth / 4 * WARP + current->lane) * 4; }

/* Memory that is neither shared nor a buffer: the thread's own stack, the kernel's parameters, the program's variables. */
static void on_other(uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line) {
    if (address - (uintptr_t)current->stack_low < (uintptr_t)(current->stack_high - current->stack_low)) {
        uintptr_t depth = (uintptr_t)current->stack_high - address;
        if (job.trace && depth > MOST_IN_REGISTERS) trace_access(local_place(depth), size, op, GLOBAL, pc, line);
        return;
    }
    if (op == LOAD && address - (uintptr_t)cpusim_parameters < cpusim_parameter_bytes) return;
    if (op == LOAD && (is_builtin(address, &threadIdx) || is_builtin(address, &blockIdx) || is_builtin(address, &blockDim) || is_builtin(address, &gridDim))) return;
    if (candidate_owns(address, size)) {
        if (job.trace) trace_access(address, size, op, GLOBAL, pc, line);
        return;
    }
    char text[160];
    if (address >= (uintptr_t)stacks_low && address < (uintptr_t)stacks_high)
        fault("out_of_bounds", pc, line, "a local variable of another thread is used, or an array on the stack overrun");
    memory_describe(address, size, text, sizeof text);
    fault(address < 65536 ? "null_pointer" : "out_of_bounds", pc, line, "%s of %u bytes at %s", op == LOAD ? "a load" : "a store", size, text);
}

/* Null pointers are left to the processor. */
static int host_owns(uintptr_t address, unsigned size) {
    uintptr_t given = (uintptr_t)host_arguments;
    if (address < 65536 || candidate_owns(address, size)) return 1;
    if (address >= given && address + size <= given + sizeof *host_arguments) return 1;
    return address > (uintptr_t)__builtin_frame_address(0) && address + size <= host_stack_high;
}

void access_check(uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line) {
    uintptr_t offset;
    if (unlikely(pending_write)) access_settle();
    if (unlikely(mode != DEVICE)) {
        if (address - device_base < device_span || address - shared_base < SHARED_SPAN)
            fault("host_access", pc, line, "launch() touches device memory: only kernels may");
        if (mode == HOST && host_arguments && !host_owns(address, size))
            fault("host_access", pc, line, "launch() touches memory that is neither its own nor its arguments");
        return;
    }
    if ((offset = address - shared_base) < SHARED_SPAN) on_shared(offset, address, size, op, pc, line);
    else if ((offset = address - device_base) < device_span) on_device(offset, address, size, op, pc, line);
    else on_other(address, size, op, pc, line);
}

/* By the copy engine, before the launch that comes next. */
void access_mark_written(uintptr_t address, uint64_t size) {
    uintptr_t offset = address - device_base;
    for (uint64_t word = offset / 4; word < (offset + size + 3) / 4; word++) device_cells[word] = (Cell){segment, BYTES, 0, 0};
}
