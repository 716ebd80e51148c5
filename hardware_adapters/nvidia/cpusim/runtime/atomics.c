/* Atomic operations. One thread runs at a time, so each is done as it stands; what is checked is where. */
#include "cpusim.h"
#include <string.h>

enum { ADD, SUB, MIN, MAX, EXCHANGE, COMPARE, AND, OR, XOR, INC, DEC };
enum { I32, U32, I64, U64, F32, F64 };
#define MAX_SPINS 64

static uint64_t integer(int op, int type, uint64_t old, uint64_t value, uint64_t compare) {
    int less = type == I32 ? (int32_t)value < (int32_t)old : type == U32 ? (uint32_t)value < (uint32_t)old
             : type == I64 ? (int64_t)value < (int64_t)old : value < old;
    switch (op) {
    case ADD: return old + value;
    case SUB: return old - value;
    case MIN: return less ? value : old;
    case MAX: return less ? old : value;
    case EXCHANGE: return value;
    case COMPARE: return old == compare ? value : old;
    case AND: return old & value;
    case OR: return old | value;
    case XOR: return old ^ value;
    case INC: return (uint32_t)old >= (uint32_t)value ? 0 : old + 1;
    default: return (uint32_t)old == 0 || (uint32_t)old > (uint32_t)value ? value : old - 1;
    }
}

/* Returns the old value's bits. `value` and `compare` are bits too. */
uint64_t cpusim_atomic(void *at, int op, int type, uint64_t value, uint64_t compare, int line) {
    unsigned size = type == I64 || type == U64 || type == F64 ? 8 : 4;
    uint64_t old = 0, new;
    if ((uintptr_t)at % size) fault("misaligned", 0, line, "an atomic operation on an address that is no multiple of %u", size);
    if (mode != DEVICE) fault("bad_call", 0, line, "an atomic operation outside of a kernel");
    access_check((uintptr_t)at, size, ATOMIC, 0, line);
    block_has_atomics = 1;
    memcpy(&old, at, size);
    if (type == F32 && op == ADD) {
        float a, b;
        memcpy(&a, &old, 4);
        memcpy(&b, &value, 4);
        a += b;
        new = 0;
        memcpy(&new, &a, 4);
    } else if (type == F64 && op == ADD) {
        double a, b;
        memcpy(&a, &old, 8);
        memcpy(&b, &value, 8);
        a += b;
        memcpy(&new, &a, 8);
    } else
        new = integer(op, type, old, value, compare);
    if (new != old) memcpy(at, &new, size);
    if (unlikely(pending_write)) access_settle();
    /* A thread that asks again and again waits for another one: let the others run. */
    if (op == COMPARE || op == EXCHANGE || new == old) {
        if (++current->spins > MAX_SPINS) {
            current->spins = 0;
            current->line = line;
            fiber_leave(YIELDED);
        }
    }
    return old;
}
