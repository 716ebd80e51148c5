// The A extension: lr, sc and the read-modify-write operations.
#include "rv64.h"
#include "rv64_data.h"

static uint64_t amo_result(unsigned op, uint64_t old, uint64_t operand) {
    switch (op) {
    case OP_AMOSWAP_W: case OP_AMOSWAP_D: return operand;
    case OP_AMOADD_W: case OP_AMOADD_D: return old + operand;
    case OP_AMOXOR_W: case OP_AMOXOR_D: return old ^ operand;
    case OP_AMOAND_W: case OP_AMOAND_D: return old & operand;
    case OP_AMOOR_W: case OP_AMOOR_D: return old | operand;
    case OP_AMOMIN_W: case OP_AMOMIN_D: return (int64_t)old < (int64_t)operand ? old : operand;
    case OP_AMOMAX_W: case OP_AMOMAX_D: return (int64_t)old > (int64_t)operand ? old : operand;
    case OP_AMOMINU_W: return (uint32_t)old < (uint32_t)operand ? old : operand;
    case OP_AMOMAXU_W: return (uint32_t)old > (uint32_t)operand ? old : operand;
    case OP_AMOMINU_D: return old < operand ? old : operand;
    default: return old > operand ? old : operand;
    }
}

static int is_doubleword_amo(unsigned op) { return op == OP_LR_D || op == OP_SC_D || (op >= OP_AMOSWAP_D && op <= OP_AMOMAXU_D); }

int atomic_execute(Hart *h, const Insn *in, uint64_t pc) {
    unsigned bytes = is_doubleword_amo(in->op) ? 8 : 4, op = in->op;
    uint64_t addr = h->reg[in->rs1], operand = h->reg[in->rs2];
    int is_load = op == OP_LR_W || op == OP_LR_D, is_conditional = op == OP_SC_W || op == OP_SC_D;
    unsigned access = is_load ? MEM_R : is_conditional ? MEM_W : MEM_R | MEM_W;
    uint8_t *p = addr % bytes ? NULL : memory_try(h->memory, addr, bytes, access);
    if (!p) { // atomics may not be misaligned even where plain accesses may
        h->pc = pc;
        if (addr % bytes) hart_trap(h, is_load ? TRAP_LOAD_MISALIGNED : TRAP_STORE_MISALIGNED, addr);
        else hart_data(h, pc, addr, bytes, access);
        return 0;
    }
    memory_ordered(h->memory, addr, bytes, "atomic access");
    if (h->rocket) {
        uint64_t at = rocket_data(h->rocket, h->rocket->now, addr, !is_load);
        if (in->rd != DISCARD) h->rocket->ready[in->rd] = at + in->latency;
    }
    uint64_t old = bytes == 8 ? load_bytes(p, 8) : sext32(load_bytes(p, 4)), result = old;
    if (is_load) {
        h->reservation = addr;
        h->reservation_valid = 1;
    } else if (is_conditional) {
        result = !(h->reservation_valid && h->reservation == addr);
        if (!result) store_bytes(p, operand, bytes);
        h->reservation_valid = 0;
    } else {
        store_bytes(p, amo_result(op, old, bytes == 8 ? operand : sext32(operand)), bytes);
    }
    h->reg[in->rd] = result;
    return 1;
}
