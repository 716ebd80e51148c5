// The interpreter: one loop over decoded instructions, compiled twice (functional and timed).
#include "rv64.h"
#include "rv64_data.h"

static uint64_t mulh(int64_t a, int64_t b) { return (uint64_t)(((__int128)a * b) >> 64); }
static uint64_t mulhsu(int64_t a, uint64_t b) { return (uint64_t)(((__int128)a * (__int128)b) >> 64); }
static uint64_t mulhu(uint64_t a, uint64_t b) { return (uint64_t)(((unsigned __int128)a * b) >> 64); }
static uint64_t div_signed(int64_t a, int64_t b) { return b == 0 ? UINT64_MAX : b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b); }
static uint64_t rem_signed(int64_t a, int64_t b) { return b == 0 ? (uint64_t)a : b == -1 ? 0 : (uint64_t)(a % b); }

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
            if (!hart_decode(h, in)) goto redirected;
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
            if (!atomic_execute(h, in, PC())) goto redirected;
            NEXT()

        case OP_FENCE:
            h->unfenced = 0;
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
            if (!h->profiling) hart_drop_code(h);
            goto redirected;
        case OP_ROCC: case OP_ROCC_RD: {
            h->pc = PC();
            if (!h->gemmini) goto illegal;
            uint64_t answer = 0;
            uint64_t next = gemmini_command(h->gemmini, timed ? issued : h->instret, h->pc, (unsigned)in->imm, reg[in->rs1], reg[in->rs2], &answer);
            if (h->unfenced != memory_unfenced(h->memory)) hart_forget_windows(h);
            if (timed) r->now = next;
            if (in->op == OP_ROCC_RD) {
                reg[in->rd] = answer;
                if (timed) r->ready[in->rd] = next + 1;
            }
            if (__builtin_expect(gemmini_work(h->gemmini) >= h->check_work, 0) && hart_check(h)) return;
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
            hart_trap(h, h->privilege == 3 ? TRAP_ECALL_M : TRAP_ECALL_U, 0);
            goto redirected;
        case OP_EBREAK:
            h->pc = PC();
            hart_trap(h, TRAP_EBREAK, h->pc);
            goto redirected;
        case OP_MRET:
            h->pc = PC();
            if (h->privilege != 3 || h->traps_are_faults) goto illegal;
            if (timed) r->now += ROCKET_SYSTEM_FLUSH;
            hart_return_from_trap(h);
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
        hart_trap(h, TRAP_ILLEGAL, hart_fetch(h, h->pc, NULL));

    redirected: // h->pc is where to go on; the page may be another one
        if (h->pc == h->return_pc) return;
        if (h->instret >= h->check_instret && hart_check(h)) return;
        page = hart_code_page(h, h->pc);
        if (!page) goto redirected;
        ip = page->slot + (h->pc - page->base) / 2;
        line_begin = line_end = NULL;
    }
}

static void run_functional(Hart *h) { execute(h, 0); }
static void run_timed(Hart *h) { execute(h, 1); }

void hart_run(Hart *h) {
    h->check_instret = h->instret;
    h->check_work = 0;
    if (h->rocket) run_timed(h);
    else run_functional(h);
}
