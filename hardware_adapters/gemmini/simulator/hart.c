// The core's surroundings: its state, traps, pages of decoded code, checked data access, limits.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rv64.h"


// Decoded code of which nothing is counted can be dropped and decoded again; counts have to be kept: as many pages as a kernel's memory has.
enum { CHECK_EVERY = 4096, POLL_EVERY = 64, MAX_CODE_PAGES = 2048, MAX_PROFILED_PAGES = 16384 };

Hart *hart_new(Memory *memory, Gemmini *gemmini, Rocket *rocket) {
    Hart *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->memory = memory;
    h->gemmini = gemmini;
    h->rocket = rocket;
    return h;
}

void hart_drop_code(Hart *h) {
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
    hart_drop_code(h);
    free(h);
}

void hart_reset(Hart *h) {
    hart_drop_code(h);
    Hart fresh = {.memory = h->memory, .gemmini = h->gemmini, .rocket = h->rocket, .elf = h->elf, .traps_are_faults = h->traps_are_faults,
                  .allow_misaligned = h->allow_misaligned, .limit_instructions = h->limit_instructions, .limit_cycles = h->limit_cycles,
                  .return_pc = h->return_pc, .tohost = h->tohost, .fromhost = h->fromhost, .privilege = 3, .mstatus = 0x1e000};
    *h = fresh;
}

uint64_t hart_cycle(const Hart *h) { return h->rocket ? h->rocket->now : h->instret; }

uint32_t hart_fetch(Hart *h, uint64_t pc, const char *who) {
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
    uint32_t raw = hart_fetch(h, h->pc, NULL);
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
void hart_trap(Hart *h, unsigned cause, uint64_t value) {
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

void hart_return_from_trap(Hart *h) {
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
CodePage *hart_code_page(Hart *h, uint64_t pc) {
    uint64_t base = pc & ~(uint64_t)(PAGE_BYTES - 1);
    CodePage **bucket = &h->code[base / PAGE_BYTES % CODE_BUCKETS];
    for (CodePage *p = *bucket; p; p = p->next)
        if (p->base == base) return p;
    if (!memory_try(h->memory, pc, 2, MEM_X)) {
        if (h->traps_are_faults || !h->mtvec) wild_jump(h, pc);
        h->pc = pc;
        hart_trap(h, TRAP_FETCH, pc);
        return NULL;
    }
    if (h->code_pages == MAX_CODE_PAGES && !h->profiling) hart_drop_code(h);
    if (h->code_pages == MAX_PROFILED_PAGES) fault_raise("limit_exceeded", "a profile of more than %d pages of code", MAX_PROFILED_PAGES);
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
int hart_decode(Hart *h, Insn *slot) {
    uint64_t pc = h->pc;
    if (!memory_try(h->memory, pc, 2, MEM_X)) {
        if (h->traps_are_faults || !h->mtvec) {
            char where[200];
            memory_explain(h->memory, pc, where, sizeof where);
            fault_raise("wild_jump", "execution ran into 0x%" PRIx64 ", which is not code: %s", pc, where);
        }
        hart_trap(h, TRAP_FETCH, pc);
        return 0;
    }
    uint32_t raw = hart_fetch(h, pc, h->traps_are_faults ? "fetch" : NULL);
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
uint8_t *hart_data(Hart *h, uint64_t pc, uint64_t addr, unsigned bytes, unsigned access) {
    h->pc = pc;
    if (addr % bytes && !h->allow_misaligned) {
        hart_trap(h, access & MEM_W ? TRAP_STORE_MISALIGNED : TRAP_LOAD_MISALIGNED, addr);
        return NULL;
    }
    uint8_t *p = memory_try(h->memory, addr, bytes, access);
    if (!p) {
        if (h->traps_are_faults || !h->mtvec) memory_at(h->memory, addr, bytes, access, access_who(access));
        hart_trap(h, access & MEM_W ? TRAP_STORE : TRAP_LOAD, addr);
        return NULL;
    }
    const Region *r = memory_region(h->memory, addr);
    if (memory_region_unfenced(h->memory, r)) memory_ordered(h->memory, addr, bytes, access_who(access)); // and each access is looked at
    else if (r->bytes >= 8) {
        Window *w = &(access & MEM_W ? h->store_window : h->load_window)[addr / PAGE_BYTES % WINDOWS];
        *w = (Window){r->base, r->bytes, r->host};
    }
    return p;
}

// A DMA has written: from now on accesses to that region are looked at.
void hart_forget_windows(Hart *h) {
    memset(h->load_window, 0, sizeof h->load_window);
    memset(h->store_window, 0, sizeof h->store_window);
    h->unfenced = memory_unfenced(h->memory);
}

static _Noreturn void out_of_budget(Hart *h, const char *what, uint64_t limit) {
    char where[120] = "";
    if (h->elf) elf_symbolise(h->elf, h->pc, where, sizeof where);
    fault_raise("endless_loop", "no end after %" PRIu64 " %s; last executed 0x%" PRIx64 "%s%s%s", limit, what, h->pc, *where ? " (" : "", where,
                *where ? ")" : "");
}

uint64_t hart_spent(const Hart *h) { return h->instret + h->traps + (h->gemmini ? gemmini_work(h->gemmini) : 0); }

// Limits and the host mailbox, looked at now and then. 1 when the program has exited.
int hart_check(Hart *h) {
    if (h->limit_instructions && hart_spent(h) >= h->limit_instructions)
        out_of_budget(h, "instructions", h->limit_instructions - h->start_instructions);
    if (h->limit_cycles && h->rocket && h->rocket->now >= h->limit_cycles)
        out_of_budget(h, "cycles", h->limit_cycles - h->start_cycles);
    if (h->tohost) htif_poll(h);
    h->check_instret = h->instret + (h->tohost ? POLL_EVERY : CHECK_EVERY);
    if (h->limit_instructions && h->check_instret > h->limit_instructions) h->check_instret = h->limit_instructions;
    h->check_work = h->gemmini ? gemmini_work(h->gemmini) + CHECK_EVERY : 0;
    return h->exited;
}
