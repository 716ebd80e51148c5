// A fault is the simulated kernel's error, never the simulator's: it ends the case and is reported as data.
// Raising one unwinds (longjmp) to the loop that runs the calls of a case.
#ifndef GEMSIM_FAULT_H
#define GEMSIM_FAULT_H

#include <setjmp.h>
#include <stdint.h>

typedef struct Fault {
    int set;
    char kind[32];
    char message[400];
    char instruction[160];
    uint64_t pc;
} Fault;

// Where fault_raise() goes: `if (setjmp(fault_jump) == 0) { run } else { look at fault_current }`.
extern jmp_buf fault_jump;
extern Fault fault_current;

// Kinds: illegal_address, misaligned, illegal_instruction, wild_jump, stack_overflow, endless_loop, limit_exceeded,
// bad_local_address, uninitialised_read, unset_configuration, unsupported_command, host_error.
_Noreturn void fault_raise(const char *kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Sets pc and instruction text for faults raised from now on. Used where no locator is registered.
void fault_context(uint64_t pc, const char *instruction_text);

// A locator fills pc and instruction when (and only when) a fault is raised: the machine knows where it is, so that
// the fast path does not have to announce every instruction. NULL removes it.
void fault_locator(void (*locate)(Fault *fault, void *ctx), void *ctx);

// Forgets the last fault and its context.
void fault_clear(void);

#endif
