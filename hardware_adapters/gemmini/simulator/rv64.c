// The interpreter: decoded-instruction pages, the execution loop (compiled twice: functional and timed), traps.
#include "rv64.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_EVERY = 4096, POLL_EVERY = 64, MAX_CODE_PAGES = 2048 };

Hart *hart_new(Memory *memory, Gemmini *gemmini, Rocket *rocket) {
    Hart *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->memory = memory;
    h->gemmini = gemmini;
    h->rocket = rocket;
    return h;
}

static void drop_code(Hart *h) {
    for (int i = 0; i < CODE_BUCKETS; i++) {
        for (CodePage *p = h->code[i], *next; p; p = next) {
            next = p->next;
            free(p->cycles);
            free(p->executions);
            free(p);
        }
        h->code[i] = NULL;
    }
    h->code_pages = 0;
}

void hart_free(Hart *h) {
    if (!h) return;
    drop_code(h);
    free(h);
}

void hart_reset(Hart *h) {
    drop_code(h);
    Hart fresh = {.memory = h->memory, .gemmini = h->gemmini, .rocket = h->rocket, .elf = h->elf, .traps_are_faults = h->traps_are_faults,
                  .allow_misaligned = h->allow_misaligned, .limit_instructions = h->limit_instructions, .limit_cycles = h->limit_cycles,
                  .return_pc = h->return_pc, .tohost = h->tohost, .fromhost = h->fromhost, .privilege = 3, .mstatus = 0x1e000};
    *h = fresh;
}

uint64_t hart_cycle(const Hart *h) { return h->rocket ? h->rocket->now : h->instret; }

static uint32_t fetch_raw(Hart *h, uint64_t pc, const char *who) {
    const uint8_t *p = who ? memory_at(h->memory, pc, 2, MEM_X, who) : memory_try(h->memory, pc, 2, MEM_X);
    if (!p) return 0;
    uint32_t raw = p[0] | (uint32_t)p[1] << 8;
    if ((raw & 3) != 3) return raw;
    p = who ? memory_at(h->memory, pc + 2, 2, MEM_X, who) : memory_try(h->memory, pc + 2, 2, MEM_X);
    return p ? raw | (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24 : 0;
}

void hart_locate(Fault *fault, void *hart) {
    Hart *h = hart;
    fault->pc = h->pc;
    uint32_t raw = fetch_raw(h, h->pc, NULL);
    if (!raw) return;
    uint32_t whole = (raw & 3) == 3 ? raw : rvc_expand((uint16_t)raw);
    Insn in = rv_decode(whole);
    if ((in.op == OP_ROCC || in.op == OP_ROCC_RD) && h->gemmini)
        gemmini_describe((unsigned)in.imm, h->reg[in.rs1], h->reg[in.rs2], fault->instruction, sizeof fault->instruction);
    else if (whole)
        rv_text(whole, h->pc, fault->instruction, sizeof fault->instruction);
}

// --- traps

static _Noreturn void trap_fault(Hart *h, unsigned cause, uint64_t value) {
    uint64_t pc = h->pc;
    switch (cause) {
    case TRAP_ILLEGAL:
        fault_raise("illegal_instruction", "0x%08" PRIx64 " at 0x%" PRIx64 " is not an instruction of this core", value, pc);
    case TRAP_EBREAK:
        fault_raise("illegal_instruction", "ebreak at 0x%" PRIx64 ": the program stopped itself (__builtin_trap, an assertion or "
                    "code the compiler found unreachable)", pc);
    case TRAP_ECALL_U: case TRAP_ECALL_M:
        fault_raise("illegal_instruction", "ecall at 0x%" PRIx64 ": a kernel has no operating system to call", pc);
    case TRAP_LOAD_MISALIGNED: case TRAP_STORE_MISALIGNED:
        fault_raise("misaligned", "%s at 0x%" PRIx64 " is not aligned to its size", cause == TRAP_LOAD_MISALIGNED ? "load" : "store", value);
    default: fault_raise("illegal_address", "trap %u at 0x%" PRIx64 ", address 0x%" PRIx64, cause, pc, value);
    }
}

// Enters the machine-mode trap handler (or raises the fault). h->pc is the trapping instruction's.
static void trap(Hart *h, unsigned cause, uint64_t value) {
    if (h->traps_are_faults) trap_fault(h, cause, value);
    if (!h->mtvec) trap_fault(h, cause, value);
    h->traps++; // a handler that traps at once retires nothing: the limit counts these too
    h->check_instret = 0;
    h->mepc = h->pc;
    h->mcause = cause;
    h->mtval = value;
    uint64_t interrupts = h->mstatus >> 3 & 1;
    h->mstatus &= ~0x1888ull;
    h->mstatus |= interrupts << 7 | (uint64_t)h->privilege << 11;
    h->privilege = 3;
    h->pc = h->mtvec & ~3ull;
}

static void return_from_trap(Hart *h) {
    h->privilege = (int)(h->mstatus >> 11 & 3);
    uint64_t interrupts = h->mstatus >> 7 & 1;
    h->mstatus &= ~0x1888ull;
    h->mstatus |= interrupts << 3 | 0x80;
    h->pc = h->mepc;
}

// --- code pages

static _Noreturn void wild_jump(Hart *h, uint64_t target) {
    char where[200], from[120] = "";
    memory_explain(h->memory, target, where, sizeof where);
    if (h->elf) elf_symbolise(h->elf, h->last_jump_from, from, sizeof from);
    uint64_t origin = h->last_jump_from;
    h->pc = origin;
    fault_raise("wild_jump", "jump from 0x%" PRIx64 "%s%s%s to 0x%" PRIx64 ", which is not code: %s", origin, *from ? " (" : "", from,
                *from ? ")" : "", target, where);
}

// The decoded page holding pc. NULL when a trap was taken instead (h->pc is then the handler).
static CodePage *code_page(Hart *h, uint64_t pc) {
    uint64_t base = pc & ~(uint64_t)(PAGE_BYTES - 1);
    CodePage **bucket = &h->code[base / PAGE_BYTES % CODE_BUCKETS];
    for (CodePage *p = *bucket; p; p = p->next)
        if (p->base == base) return p;
    if (!memory_try(h->memory, pc, 2, MEM_X)) {
        if (h->traps_are_faults || !h->mtvec) wild_jump(h, pc);
        h->pc = pc;
        trap(h, TRAP_FETCH, pc);
        return NULL;
    }
    if (h->code_pages == MAX_CODE_PAGES && !h->profiling) drop_code(h);
    CodePage *p = calloc(1, sizeof *p);
    if (p && h->profiling) {
        p->cycles = calloc(PAGE_SLOTS + 2, sizeof *p->cycles);
        p->executions = calloc(PAGE_SLOTS + 2, sizeof *p->executions);
    }
    if (!p || (h->profiling && (!p->cycles || !p->executions))) fault_raise("host_error", "out of memory for decoded code");
    p->base = base;
    bucket = &h->code[base / PAGE_BYTES % CODE_BUCKETS];
    p->next = *bucket;
    *bucket = p;
    h->code_pages++;
    return p;
}

// Decodes the instruction at h->pc into its slot. 0 when that is impossible and a trap was taken.
static int decode_slot(Hart *h, Insn *slot) {
    uint64_t pc = h->pc;
    if (!memory_try(h->memory, pc, 2, MEM_X)) {
        if (h->traps_are_faults || !h->mtvec) {
            char where[200];
            memory_explain(h->memory, pc, where, sizeof where);
            fault_raise("wild_jump", "execution ran into 0x%" PRIx64 ", which is not code: %s", pc, where);
        }
        trap(h, TRAP_FETCH, pc);
        return 0;
    }
    uint32_t raw = fetch_raw(h, pc, h->traps_are_faults ? "fetch" : NULL);
    if ((raw & 3) == 3) {
        *slot = rv_decode(raw);
    } else {
        *slot = rv_decode(rvc_expand((uint16_t)raw));
        slot->slots = 1;
    }
    return 1;
}

void hart_profile(const Hart *h, void (*emit)(void *ctx, uint64_t pc, uint64_t cycles, uint64_t executions), void *ctx) {
    for (int i = 0; i < CODE_BUCKETS; i++)
        for (const CodePage *p = h->code[i]; p; p = p->next)
            for (int s = 0; p->executions && s < PAGE_SLOTS; s++)
                if (p->executions[s]) emit(ctx, p->base + 2 * (uint64_t)s, p->cycles[s], p->executions[s]);
}

// --- data access

static const char *access_who(unsigned access) { return access & MEM_W ? "store" : "load"; }

// Slow path of every load and store. NULL when a trap was taken.
static uint8_t *data_slow(Hart *h, uint64_t pc, uint64_t addr, unsigned bytes, unsigned access) {
    h->pc = pc;
    if (addr % bytes && !h->allow_misaligned) {
        trap(h, access & MEM_W ? TRAP_STORE_MISALIGNED : TRAP_LOAD_MISALIGNED, addr);
        return NULL;
    }
    uint8_t *p = memory_try(h->memory, addr, bytes, access);
    if (!p) {
        if (h->traps_are_faults || !h->mtvec) memory_at(h->memory, addr, bytes, access, access_who(access));
        trap(h, access & MEM_W ? TRAP_STORE : TRAP_LOAD, addr);
        return NULL;
    }
    const Region *r = memory_region(h->memory, addr);
    if (r->bytes >= 8) {
        Window *w = &(access & MEM_W ? h->store_window : h->load_window)[addr / PAGE_BYTES % WINDOWS];
        *w = (Window){r->base, r->bytes, r->host};
    }
    return p;
}

static inline uint8_t *data_at(Hart *h, Window *windows, uint64_t pc, uint64_t addr, unsigned bytes, unsigned access) {
    const Window *w = &windows[addr / PAGE_BYTES % WINDOWS];
    uint64_t offset = addr - w->base;
    if (__builtin_expect(w->host && offset < w->bytes && offset <= w->bytes - bytes && !(addr & (bytes - 1)), 1)) return w->host + offset;
    return data_slow(h, pc, addr, bytes, access);
}

static inline uint64_t load_bytes(const uint8_t *p, unsigned bytes) { // little-endian whatever the host
    uint64_t v = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&v, p, bytes);
#else
    for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
#endif
    return v;
}

static inline void store_bytes(uint8_t *p, uint64_t v, unsigned bytes) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(p, &v, bytes);
#else
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> (8 * i));
#endif
}

// --- arithmetic with RISC-V's special cases

static uint64_t mulh(int64_t a, int64_t b) { return (uint64_t)(((__int128)a * b) >> 64); }
static uint64_t mulhsu(int64_t a, uint64_t b) { return (uint64_t)(((__int128)a * (__int128)b) >> 64); }
static uint64_t mulhu(uint64_t a, uint64_t b) { return (uint64_t)(((unsigned __int128)a * b) >> 64); }
static uint64_t div_signed(int64_t a, int64_t b) { return b == 0 ? UINT64_MAX : b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b); }
static uint64_t rem_signed(int64_t a, int64_t b) { return b == 0 ? (uint64_t)a : b == -1 ? 0 : (uint64_t)(a % b); }
static uint64_t sext32(uint64_t v) { return (uint64_t)(int64_t)(int32_t)v; }

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

// lr, sc and the AMOs. 0 when a trap was taken.
static int atomic(Hart *h, const Insn *in, uint64_t pc) {
    unsigned bytes = is_doubleword_amo(in->op) ? 8 : 4, op = in->op;
    uint64_t addr = h->reg[in->rs1], operand = h->reg[in->rs2];
    int is_load = op == OP_LR_W || op == OP_LR_D, is_conditional = op == OP_SC_W || op == OP_SC_D;
    unsigned access = is_load ? MEM_R : is_conditional ? MEM_W : MEM_R | MEM_W;
    uint8_t *p = addr % bytes ? NULL : memory_try(h->memory, addr, bytes, access);
    if (!p) { // atomics may not be misaligned even where plain accesses may
        h->pc = pc;
        if (addr % bytes) trap(h, is_load ? TRAP_LOAD_MISALIGNED : TRAP_STORE_MISALIGNED, addr);
        else data_slow(h, pc, addr, bytes, access);
        return 0;
    }
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

// csrrw and its kin. 0 when the access is illegal.
static int csr_execute(Hart *h, const Insn *in) {
    unsigned csr = (unsigned)in->imm;
    int immediate = in->op == OP_CSRRWI || in->op == OP_CSRRSI || in->op == OP_CSRRCI;
    int write = in->op == OP_CSRRW || in->op == OP_CSRRWI;
    uint64_t operand = immediate ? in->rm : h->reg[in->rs1], old = 0;
    int sets = write || (immediate ? in->rm : in->rs1) != 0;
    if (!(write && in->rd == DISCARD) && !csr_read(h, csr, &old)) return 0;
    if (sets) {
        uint64_t value = operand;
        if (in->op == OP_CSRRS || in->op == OP_CSRRSI) value = old | operand;
        if (in->op == OP_CSRRC || in->op == OP_CSRRCI) value = old & ~operand;
        if (!csr_write(h, csr, value)) return 0;
        if (h->rocket) h->rocket->now += ROCKET_SYSTEM_FLUSH;
    }
    h->reg[in->rd] = old;
    return 1;
}

static _Noreturn void out_of_budget(Hart *h, const char *what, uint64_t limit) {
    char where[120] = "";
    if (h->elf) elf_symbolise(h->elf, h->pc, where, sizeof where);
    fault_raise("endless_loop", "no end after %" PRIu64 " %s; last executed 0x%" PRIx64 "%s%s%s", limit, what, h->pc, *where ? " (" : "", where,
                *where ? ")" : "");
}

// Limits and the host mailbox, looked at now and then. 1 when the program has exited.
static int check(Hart *h) {
    if (h->limit_instructions && h->instret + h->traps >= h->limit_instructions) out_of_budget(h, "instructions", h->limit_instructions - h->start_instructions);
    if (h->limit_cycles && h->rocket && h->rocket->now >= h->limit_cycles) out_of_budget(h, "cycles", h->limit_cycles - h->start_cycles);
    if (h->tohost) htif_poll(h);
    h->check_instret = h->instret + (h->tohost ? POLL_EVERY : CHECK_EVERY);
    if (h->limit_instructions && h->check_instret > h->limit_instructions) h->check_instret = h->limit_instructions;
    return h->exited;
}

static unsigned mul_div_latency(const Hart *h, const Insn *in) {
    uint64_t a = h->reg[in->rs1], b = h->reg[in->rs2];
    switch (in->op) {
    case OP_MUL: return rocket_mul_latency(a, 0);
    case OP_MULW: return rocket_mul_latency((uint32_t)a, 0);
    case OP_MULH: case OP_MULHSU: case OP_MULHU: return rocket_mul_latency(a, 1);
    case OP_DIV: case OP_REM: return rocket_div_latency(a, b, 1);
    case OP_DIVW: case OP_REMW: return rocket_div_latency(sext32(a), sext32(b), 1);
    case OP_DIVUW: case OP_REMUW: return rocket_div_latency((uint32_t)a, (uint32_t)b, 0);
    default: return rocket_div_latency(a, b, 0);
    }
}

static int jump_kind(const Insn *in) {
    int links = in->rd == 1 || in->rd == 5;
    if (in->op == OP_JAL) return links ? JUMP_CALL : JUMP_DIRECT;
    if (!links && (in->rs1 == 1 || in->rs1 == 5)) return JUMP_RETURN;
    return links ? JUMP_INDIRECT_CALL : JUMP_INDIRECT;
}

#define PC() (page->base + (uint64_t)(in - page->slot) * 2)
#define NEXT() { ip = in + in->slots; break; }
#define LOAD(bytes, convert) { \
        uint64_t addr = reg[in->rs1] + (uint64_t)(int64_t)in->imm; \
        const uint8_t *p = data_at(h, h->load_window, PC(), addr, bytes, MEM_R); \
        if (!p) goto redirected; \
        if (timed) r->ready[in->rd] = rocket_data(r, issued, addr, 0) + in->latency; \
        uint64_t v = load_bytes(p, bytes); \
        reg[in->rd] = convert; \
        NEXT() }
#define STORE(bytes) { \
        uint64_t addr = reg[in->rs1] + (uint64_t)(int64_t)in->imm; \
        uint8_t *p = data_at(h, h->store_window, PC(), addr, bytes, MEM_W); \
        if (!p) goto redirected; \
        if (timed) { uint64_t at = rocket_data(r, issued, addr, 1); (void)at; } \
        store_bytes(p, reg[in->rs2], bytes); \
        NEXT() }
#define ALU(expression) { reg[in->rd] = (expression); NEXT() }
#define BRANCH(condition) { \
        int taken = (condition); \
        if (timed) rocket_branch(r, PC(), PC() + (uint64_t)(int64_t)in->imm, taken); \
        if (!taken) NEXT() \
        target = PC() + (uint64_t)(int64_t)in->imm; \
        goto jump; }

static inline __attribute__((always_inline)) void execute(Hart *h, const int timed) {
    uint64_t *const reg = h->reg;
    Rocket *const r = timed ? h->rocket : NULL;
    CodePage *page = NULL;
    Insn *in, *ip = NULL, *line_begin = NULL, *line_end = NULL;
    uint64_t target, issued = 0, before = 0;
    goto redirected;

    for (;;) {
        in = ip;
        if (__builtin_expect(in->op == OP_UNDECODED, 0)) {
            h->pc = PC();
            if (in >= page->slot + PAGE_SLOTS) {
                h->last_jump_from = h->pc - 2;
                goto redirected;
            }
            if (!decode_slot(h, in)) goto redirected;
        }
        if (timed) {
            before = r->now;
            if (in < line_begin || in + in->slots > line_end) { // enters another instruction line
                uint64_t last = (PC() + 2u * in->slots - 1) & ~(uint64_t)(L1_LINE - 1), first = PC() & ~(uint64_t)(L1_LINE - 1);
                if (in < line_begin || in >= line_end) rocket_fetch_line(r, first);
                if (last != first) rocket_fetch_line(r, last);
                ptrdiff_t at = (ptrdiff_t)(last - page->base) / 2;
                line_begin = page->slot + at;
                line_end = line_begin + L1_LINE / 2;
            }
            uint64_t t = r->now;
            if (r->ready[in->rs1] > t) t = r->ready[in->rs1];
            if (r->ready[in->rs2] > t) t = r->ready[in->rs2];
            if (r->ready[in->rs3] > t) t = r->ready[in->rs3];
            issued = t;
            r->now = t + 1;
            r->ready[in->rd] = t + in->latency;
        }
        h->instret++;
        switch (in->op) {
        case OP_LUI: ALU((uint64_t)(int64_t)in->imm)
        case OP_AUIPC: ALU(PC() + (uint64_t)(int64_t)in->imm)
        case OP_ADDI: ALU(reg[in->rs1] + (uint64_t)(int64_t)in->imm)
        case OP_SLTI: ALU((int64_t)reg[in->rs1] < in->imm)
        case OP_SLTIU: ALU(reg[in->rs1] < (uint64_t)(int64_t)in->imm)
        case OP_XORI: ALU(reg[in->rs1] ^ (uint64_t)(int64_t)in->imm)
        case OP_ORI: ALU(reg[in->rs1] | (uint64_t)(int64_t)in->imm)
        case OP_ANDI: ALU(reg[in->rs1] & (uint64_t)(int64_t)in->imm)
        case OP_SLLI: ALU(reg[in->rs1] << in->imm)
        case OP_SRLI: ALU(reg[in->rs1] >> in->imm)
        case OP_SRAI: ALU((uint64_t)((int64_t)reg[in->rs1] >> in->imm))
        case OP_ADD: ALU(reg[in->rs1] + reg[in->rs2])
        case OP_SUB: ALU(reg[in->rs1] - reg[in->rs2])
        case OP_SLL: ALU(reg[in->rs1] << (reg[in->rs2] & 63))
        case OP_SLT: ALU((int64_t)reg[in->rs1] < (int64_t)reg[in->rs2])
        case OP_SLTU: ALU(reg[in->rs1] < reg[in->rs2])
        case OP_XOR: ALU(reg[in->rs1] ^ reg[in->rs2])
        case OP_SRL: ALU(reg[in->rs1] >> (reg[in->rs2] & 63))
        case OP_SRA: ALU((uint64_t)((int64_t)reg[in->rs1] >> (reg[in->rs2] & 63)))
        case OP_OR: ALU(reg[in->rs1] | reg[in->rs2])
        case OP_AND: ALU(reg[in->rs1] & reg[in->rs2])
        case OP_ADDIW: ALU(sext32(reg[in->rs1] + (uint64_t)(int64_t)in->imm))
        case OP_SLLIW: ALU(sext32(reg[in->rs1] << in->imm))
        case OP_SRLIW: ALU(sext32((uint32_t)reg[in->rs1] >> in->imm))
        case OP_SRAIW: ALU((uint64_t)(int64_t)((int32_t)reg[in->rs1] >> in->imm))
        case OP_ADDW: ALU(sext32(reg[in->rs1] + reg[in->rs2]))
        case OP_SUBW: ALU(sext32(reg[in->rs1] - reg[in->rs2]))
        case OP_SLLW: ALU(sext32(reg[in->rs1] << (reg[in->rs2] & 31)))
        case OP_SRLW: ALU(sext32((uint32_t)reg[in->rs1] >> (reg[in->rs2] & 31)))
        case OP_SRAW: ALU((uint64_t)(int64_t)((int32_t)reg[in->rs1] >> (reg[in->rs2] & 31)))

        case OP_BEQ: BRANCH(reg[in->rs1] == reg[in->rs2])
        case OP_BNE: BRANCH(reg[in->rs1] != reg[in->rs2])
        case OP_BLT: BRANCH((int64_t)reg[in->rs1] < (int64_t)reg[in->rs2])
        case OP_BGE: BRANCH((int64_t)reg[in->rs1] >= (int64_t)reg[in->rs2])
        case OP_BLTU: BRANCH(reg[in->rs1] < reg[in->rs2])
        case OP_BGEU: BRANCH(reg[in->rs1] >= reg[in->rs2])
        case OP_JAL:
        case OP_JALR: {
            uint64_t link = PC() + 2u * in->slots;
            target = (in->op == OP_JAL ? PC() : reg[in->rs1]) + (uint64_t)(int64_t)in->imm;
            target &= ~1ull;
            if (timed) rocket_jump(r, PC(), target, link, jump_kind(in));
            reg[in->rd] = link;
            goto jump;
        }

        case OP_LB: LOAD(1, (uint64_t)(int64_t)(int8_t)v)
        case OP_LH: LOAD(2, (uint64_t)(int64_t)(int16_t)v)
        case OP_LW: LOAD(4, sext32(v))
        case OP_LD: LOAD(8, v)
        case OP_LBU: LOAD(1, v)
        case OP_LHU: LOAD(2, v)
        case OP_LWU: LOAD(4, v)
        case OP_FLW: LOAD(4, v | 0xffffffff00000000ull)
        case OP_FLD: LOAD(8, v)
        case OP_SB: STORE(1)
        case OP_SH: STORE(2)
        case OP_SW: case OP_FSW: STORE(4)
        case OP_SD: case OP_FSD: STORE(8)

        case OP_MUL: case OP_MULH: case OP_MULHSU: case OP_MULHU: case OP_MULW: case OP_DIV: case OP_DIVU: case OP_REM: case OP_REMU:
        case OP_DIVW: case OP_DIVUW: case OP_REMW: case OP_REMUW: {
            uint64_t a = reg[in->rs1], b = reg[in->rs2], v;
            if (timed) { // one unit for both, not pipelined
                uint64_t start = issued > r->divider_free ? issued : r->divider_free;
                uint64_t done = start + mul_div_latency(h, in);
                r->now = start + 1;
                r->divider_free = done;
                r->ready[in->rd] = done;
            }
            switch (in->op) {
            case OP_MUL: v = a * b; break;
            case OP_MULH: v = mulh((int64_t)a, (int64_t)b); break;
            case OP_MULHSU: v = mulhsu((int64_t)a, b); break;
            case OP_MULHU: v = mulhu(a, b); break;
            case OP_MULW: v = sext32(a * b); break;
            case OP_DIV: v = div_signed((int64_t)a, (int64_t)b); break;
            case OP_DIVU: v = b ? a / b : UINT64_MAX; break;
            case OP_REM: v = rem_signed((int64_t)a, (int64_t)b); break;
            case OP_REMU: v = b ? a % b : a; break;
            case OP_DIVW: v = sext32(div_signed((int32_t)a, (int32_t)b)); break;
            case OP_DIVUW: v = sext32((uint32_t)b ? (uint32_t)a / (uint32_t)b : UINT32_MAX); break;
            case OP_REMW: v = sext32(rem_signed((int32_t)a, (int32_t)b)); break;
            default: v = sext32((uint32_t)b ? (uint32_t)a % (uint32_t)b : (uint32_t)a); break;
            }
            ALU(v)
        }

        case OP_LR_W: case OP_LR_D: case OP_SC_W: case OP_SC_D: case OP_AMOSWAP_W: case OP_AMOADD_W: case OP_AMOXOR_W: case OP_AMOAND_W:
        case OP_AMOOR_W: case OP_AMOMIN_W: case OP_AMOMAX_W: case OP_AMOMINU_W: case OP_AMOMAXU_W: case OP_AMOSWAP_D: case OP_AMOADD_D:
        case OP_AMOXOR_D: case OP_AMOAND_D: case OP_AMOOR_D: case OP_AMOMIN_D: case OP_AMOMAX_D: case OP_AMOMINU_D: case OP_AMOMAXU_D:
            if (!atomic(h, in, PC())) goto redirected;
            NEXT()

        case OP_FENCE:
            if (timed) {
                if (r->dcache_free > r->now) r->now = r->dcache_free;
                if (h->gemmini) r->now = gemmini_fence(h->gemmini, r->now);
                r->now += ROCKET_DIRTY_FENCE;
            } else if (h->gemmini) {
                gemmini_fence(h->gemmini, 0);
            }
            NEXT()
        case OP_FENCE_I:
            if (timed) {
                rocket_flush_icache(r);
                r->now += ROCKET_SYSTEM_FLUSH;
            }
            h->pc = PC() + 2u * in->slots;
            if (!h->profiling) drop_code(h);
            goto redirected;
        case OP_ROCC: case OP_ROCC_RD: {
            h->pc = PC();
            if (!h->gemmini) goto illegal;
            uint64_t answer = 0;
            uint64_t next = gemmini_command(h->gemmini, timed ? issued : h->instret, h->pc, (unsigned)in->imm, reg[in->rs1], reg[in->rs2], &answer);
            if (timed) r->now = next;
            if (in->op == OP_ROCC_RD) {
                reg[in->rd] = answer;
                if (timed) r->ready[in->rd] = next + 1;
            }
            NEXT()
        }
        case OP_CSRRW: case OP_CSRRS: case OP_CSRRC: case OP_CSRRWI: case OP_CSRRSI: case OP_CSRRCI:
            h->pc = PC();
            h->instret--; // the instruction does not count itself
            if (timed) r->now--;
            if (!csr_execute(h, in)) {
                h->instret++;
                goto illegal;
            }
            h->instret++;
            if (timed) r->now++;
            NEXT()
        case OP_ECALL:
            h->pc = PC();
            trap(h, h->privilege == 3 ? TRAP_ECALL_M : TRAP_ECALL_U, 0);
            goto redirected;
        case OP_EBREAK:
            h->pc = PC();
            trap(h, TRAP_EBREAK, h->pc);
            goto redirected;
        case OP_MRET:
            h->pc = PC();
            if (h->privilege != 3 || h->traps_are_faults) goto illegal;
            if (timed) r->now += ROCKET_SYSTEM_FLUSH;
            return_from_trap(h);
            goto redirected;
        case OP_WFI:
            h->pc = PC();
            if (h->traps_are_faults) goto illegal;
            NEXT()
        case OP_ILLEGAL:
            h->pc = PC();
            goto illegal;
        default: // F and D
            h->pc = PC();
            if (timed && (in->op == OP_FDIV_S || in->op == OP_FDIV_D || in->op == OP_FSQRT_S || in->op == OP_FSQRT_D)) {
                uint64_t start = issued > r->fp_divider_free ? issued : r->fp_divider_free;
                r->now = start + 1;
                r->fp_divider_free = r->ready[in->rd] = start + in->latency;
            }
            if (!fp_execute(h, in)) goto illegal;
            NEXT()
        }
        if (h->profiling) {
            page->executions[in - page->slot]++;
            if (timed) page->cycles[in - page->slot] += r->now - before;
        }
        continue;

    jump:
        if (h->profiling) {
            page->executions[in - page->slot]++;
            if (timed) page->cycles[in - page->slot] += r->now - before;
        }
        if (__builtin_expect(target - page->base < PAGE_BYTES && h->instret < h->check_instret, 1)) {
            ip = page->slot + (target - page->base) / 2;
            if (timed && (target & 2) && ip->slots == 2) r->now += ROCKET_SPLIT_FETCH;
            continue;
        }
        h->last_jump_from = PC();
        h->pc = target;
        goto redirected;

    illegal:
        h->instret--;
        trap(h, TRAP_ILLEGAL, fetch_raw(h, h->pc, NULL));

    redirected: // h->pc is where to go on; the page may be another one
        if (h->pc == h->return_pc) return;
        if (h->instret >= h->check_instret && check(h)) return;
        page = code_page(h, h->pc);
        if (!page) goto redirected;
        ip = page->slot + (h->pc - page->base) / 2;
        line_begin = line_end = NULL;
    }
}

static void run_functional(Hart *h) { execute(h, 0); }
static void run_timed(Hart *h) { execute(h, 1); }

void hart_run(Hart *h) {
    h->check_instret = h->instret;
    if (h->rocket) run_timed(h);
    else run_functional(h);
}
