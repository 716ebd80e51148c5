#include "bare.h"

#include <inttypes.h>
#include <stdio.h>

#include "machine.h"

static const uint64_t RAM_BASE = 0x80000000, RAM_BYTES = 256ull << 20;

static int guarded_run(Hart *h) {
    fault_clear();
    fault_locator(hart_locate, h);
    if (setjmp(fault_jump) == 0) {
        hart_run(h);
        return 1;
    }
    fflush(stdout);
    fprintf(stderr, "gemsim: %s: %s (pc 0x%" PRIx64 "%s%s)\n", fault_current.kind, fault_current.message, fault_current.pc,
            *fault_current.instruction ? ": " : "", fault_current.instruction);
    return 0;
}

int bare_run(const char *elf_path, const BareOptions *options) {
    static Machine m;
    char error[200] = "out of memory";
    Elf *elf = elf_open(elf_path, error);
    int ok = elf && machine_new(&m, options->config) &&
             memory_add(m.memory, RAM_BASE, RAM_BYTES, MEM_R | MEM_W | MEM_X, "RAM", error) && elf_copy(elf, m.memory, error);
    if (!ok) {
        fprintf(stderr, "gemsim: %s: %s\n", elf_path, error);
        machine_free(&m);
        elf_free(elf);
        return 1;
    }
    machine_reset(&m, options->timed);
    if (!options->strict) gemmini_zero_fill(m.gemmini);
    Hart *h = m.hart;
    h->elf = elf;
    h->allow_misaligned = options->allow_misaligned;
    h->limit_instructions = options->limit_instructions;
    h->return_pc = UINT64_MAX; // odd: never reached
    elf_symbol(elf, "tohost", &h->tohost);
    elf_symbol(elf, "fromhost", &h->fromhost);
    h->pc = h->last_jump_from = elf_entry(elf);
    int status = guarded_run(h) ? (int)(h->exit_code & 0xff) : 1;
    if (h->exited && h->exit_code > 0xff) status = 1;
    fflush(stdout);
    machine_free(&m);
    elf_free(elf);
    return status;
}
