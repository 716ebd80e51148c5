#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

jmp_buf fault_jump;
Fault fault_current;

static uint64_t context_pc;
static char context_text[sizeof fault_current.instruction];
static void (*locator)(Fault *, void *);
static void *locator_ctx;

void fault_context(uint64_t pc, const char *instruction_text) {
    context_pc = pc;
    snprintf(context_text, sizeof context_text, "%s", instruction_text ? instruction_text : "");
}

void fault_locator(void (*locate)(Fault *, void *), void *ctx) {
    locator = locate;
    locator_ctx = ctx;
}

void fault_clear(void) {
    memset(&fault_current, 0, sizeof fault_current);
    context_pc = 0;
    context_text[0] = 0;
}

_Noreturn void fault_raise(const char *kind, const char *fmt, ...) {
    Fault *f = &fault_current;
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->message, sizeof f->message, fmt, args);
    va_end(args);
    f->set = 1;
    snprintf(f->kind, sizeof f->kind, "%s", kind);
    f->pc = context_pc;
    memcpy(f->instruction, context_text, sizeof f->instruction);
    if (locator) locator(f, locator_ctx);
    longjmp(fault_jump, 1);
}
