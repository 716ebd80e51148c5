// The RV64IMAFDC + Zicsr core: decoded instructions, architectural state, the interpreter's entry points.
#ifndef GEMSIM_RV64_H
#define GEMSIM_RV64_H

#include <stddef.h>
#include <stdint.h>

#include "elf.h"
#include "fault.h"
#include "gemmini.h"
#include "memory.h"
#include "rocket.h"

// Register file: x0..x31, f0..f31, and one slot that takes writes to x0.
enum { FP_BASE = 32, DISCARD = 64, REGISTERS = 65 };

enum Op {
    OP_UNDECODED, // also past the last slot of a page: the slow path looks up what is there
    OP_ILLEGAL,
#define RV_OP(op, text, args, mask, match, latency) OP_##op,
#include "rv64_ops.h"
#undef RV_OP
    OP_COUNT
};

// One decoded instruction. Compressed forms are expanded first, so each operation exists once. Register fields index
// Hart.reg; unused sources are x0 and an unused or x0 destination is DISCARD.
typedef struct Insn {
    uint16_t op;
    uint8_t rd, rs1, rs2, rs3;
    uint8_t rm;      // rounding mode field (7 = dynamic), or the 5-bit immediate of CSR instructions
    uint8_t slots;   // length in halfwords: 1 or 2
    uint8_t latency; // cycles until a dependent instruction can issue, on an L1 hit
    int32_t imm;     // sign-extended immediate; CSR number; shift amount
} Insn;

Insn rv_decode(uint32_t raw);             // a 32-bit encoding
uint32_t rvc_expand(uint16_t compressed); // its 32-bit equivalent, or 0 when illegal
void rv_text(uint32_t raw, uint64_t pc, char *text, size_t n);

// Trap causes of the privileged architecture.
enum {
    TRAP_FETCH_MISALIGNED = 0, TRAP_FETCH = 1, TRAP_ILLEGAL = 2, TRAP_EBREAK = 3, TRAP_LOAD_MISALIGNED = 4, TRAP_LOAD = 5,
    TRAP_STORE_MISALIGNED = 6, TRAP_STORE = 7, TRAP_ECALL_U = 8, TRAP_ECALL_M = 11
};

// Decoded code of one 4 KiB page: a slot per halfword, and two more that lead the sequential flow on to the next page.
enum { PAGE_BYTES = 4096, PAGE_SLOTS = PAGE_BYTES / 2 };

typedef struct CodePage {
    uint64_t base;
    struct CodePage *next;           // in its hash bucket
    uint64_t *cycles, *executions;   // per slot, when profiling
    Insn slot[PAGE_SLOTS + 2];
} CodePage;

// A cached translation: which region an address of this page lies in.
typedef struct Window {
    uint64_t base, bytes;
    uint8_t *host;
} Window;

enum { WINDOWS = 16, CODE_BUCKETS = 1024 };

typedef struct Hart {
    uint64_t reg[REGISTERS];
    uint64_t pc; // exact whenever control is outside the interpreter loop
    uint64_t instret;
    uint64_t traps;          // taken; the limits count them
    uint64_t last_jump_from; // pc of the last indirect jump, for wild_jump
    uint64_t reservation;    // address of the last lr, or 0
    int reservation_valid;
    unsigned fflags, frm;
    // machine-mode state
    uint64_t mstatus, mtvec, mepc, mcause, mtval, mscratch, mie, mip, mideleg, medeleg, mcounteren, mcountinhibit;
    uint64_t cycle_offset, instret_offset; // what writes to mcycle and minstret added
    uint64_t pmpaddr[16], pmpcfg[4];
    int privilege; // 3 = M, 0 = U

    Memory *memory;
    Gemmini *gemmini; // NULL: custom-3 is illegal
    Rocket *rocket;   // NULL: untimed
    const Elf *elf;   // for symbol names in diagnoses; may be NULL

    int traps_are_faults; // job mode: a trap ends the case
    int allow_misaligned;
    uint64_t limit_instructions, limit_cycles; // absolute, in hart_spent() and hart_cycle(); 0 = none
    uint64_t start_instructions, start_cycles;  // what the limits' messages count from
    uint64_t return_pc; // reaching it ends hart_run()

    uint64_t tohost, fromhost; // HTIF mailbox addresses, 0 when there are none
    int exited;
    int64_t exit_code;

    Window load_window[WINDOWS], store_window[WINDOWS];
    int unfenced; // regions of memory that had bytes not waited for when the windows were last forgotten
    CodePage *code[CODE_BUCKETS]; // by (pc >> 12), chained
    int code_pages;
    int profiling;        // count cycles and executions per instruction
    uint64_t check_instret; // next instret at which limits and the mailbox are looked at
    uint64_t check_work;    // the same for gemmini_work(): few instructions can make the accelerator work long
} Hart;

Hart *hart_new(Memory *, Gemmini *, Rocket *);
void hart_free(Hart *);
void hart_reset(Hart *); // registers, CSRs, cached translations and decoded code

// Runs until return_pc is reached or, with tohost set, the program exits. Faults leave through fault_raise().
void hart_run(Hart *);

// Cycle as the program sees it: Rocket's clock when timed, else retired instructions.
uint64_t hart_cycle(const Hart *);

// Calls emit(pc, cycles, executions) for every instruction executed while profiling.
void hart_profile(const Hart *, void (*emit)(void *ctx, uint64_t pc, uint64_t cycles, uint64_t executions), void *ctx);

// Fault locator: fills pc and instruction of the fault from where the hart is.
void hart_locate(Fault *fault, void *hart);

// CSR access. 0 when the CSR does not exist or may not be accessed.
int csr_read(Hart *, unsigned csr, uint64_t *value);
int csr_write(Hart *, unsigned csr, uint64_t value);

// csrrw and its kin (csr.c). 0 when the access is illegal.
int csr_execute(Hart *, const Insn *);

// Atomics (atomic.c). 0 when a trap was taken.
int atomic_execute(Hart *, const Insn *, uint64_t pc);

// What the interpreter uses of hart.c. "Trap taken" means that hart->pc is the handler's; with traps_are_faults such a call
// raises the fault instead of returning.
uint32_t hart_fetch(Hart *, uint64_t pc, const char *who);    // instruction bits; who NULL: 0 when there is no code
void hart_trap(Hart *, unsigned cause, uint64_t value);       // hart->pc is the trapping instruction's
void hart_return_from_trap(Hart *);
CodePage *hart_code_page(Hart *, uint64_t pc);                // decoded page of pc, or NULL: trap taken
int hart_decode(Hart *, Insn *slot);                          // decodes hart->pc into its slot; 0: trap taken
void hart_drop_code(Hart *);
void hart_forget_windows(Hart *);
uint8_t *hart_data(Hart *, uint64_t pc, uint64_t addr, unsigned bytes, unsigned access); // slow path; NULL: trap taken
uint64_t hart_spent(const Hart *);                            // what limit_instructions is compared with
int hart_check(Hart *);                                       // limits and the host mailbox; 1: the program has exited

// Floating point on register bits (rvfp.c): executes one F/D instruction other than loads and stores. 0 when the rounding mode is illegal.
int fp_execute(Hart *, const Insn *);

// HTIF host calls of bare-metal programs (htif.c): looks at the mailbox.
void htif_poll(Hart *);

#endif
