#include "gemmini_state.h"

Operand operand_of(uint64_t packed) {
    return (Operand){(uint32_t)packed, (unsigned)(packed >> 48), (unsigned)(packed >> 32) & 0xffff};
}

uint64_t operand_word(uint32_t local, unsigned cols, unsigned rows) { return (uint64_t)rows << 48 | (uint64_t)cols << 32 | local; }

void check_size(const Gemmini *g, Operand o, unsigned max_cols, const char *what) {
    if (o.rows == 0 || o.cols == 0) fault_raise("limit_exceeded", "%s of %u rows and %u columns: both must be at least 1", what, o.rows, o.cols);
    if (o.rows > g->dim) fault_raise("limit_exceeded", "%s of %u rows: at most %u", what, o.rows, g->dim);
    if (o.cols > max_cols) fault_raise("limit_exceeded", "%s of %u columns: at most %u", what, o.cols, max_cols);
}

Range local_range(const Gemmini *g, uint32_t local, unsigned rows, const char *what) {
    int acc = in_accumulator(local);
    uint32_t row = local & ROW_MASK;
    unsigned size = acc ? g->config->acc_rows : g->config->spad_rows;
    if (local == GARBAGE) fault_raise("bad_local_address", "%s needs a local address, not NONE", what);
    if (!acc && (local & ACCUMULATE_BIT)) fault_raise("bad_local_address", "%s: the scratchpad cannot accumulate: set bit 31 for an accumulator address", what);
    if (!acc && local & (FULL_BIT | NORM_BITS)) fault_raise("bad_local_address", "%s: scratchpad address 0x%x: only the accumulator knows bits 29 to 26", what, local);
    if (row >= size || rows > size - row)
        fault_raise("bad_local_address", "%s touches %s rows %u to %u: there are %u", what, acc ? "accumulator" : "scratchpad", row, row + rows - 1, size);
    uint32_t first = row + (acc ? ACC_BASE : 0);
    return (Range){first, first + rows};
}

void check_norm_bits(uint32_t local, const char *what) {
    if (in_accumulator(local) && (local & NORM_BITS))
        fault_raise("bad_local_address", "%s: accumulator address 0x%x: only an mvout takes a normalisation command in bits 28 to 26", what, local);
}

_Noreturn void fault_unwritten(int acc, uint32_t row, const char *what) {
    fault_raise("uninitialised_read", "%s reads %s row %u, which was never written", what, acc ? "accumulator" : "scratchpad", row);
}

void use_rows(Gemmini *g, Range r) {
    unsigned *high = r.first >= ACC_BASE ? &g->acc_high : &g->spad_high, end = r.end & (ACC_BASE - 1);
    if (end > *high) *high = end;
}
