/* Every illegal act ends the run here, with its kind, the place in the source and the thread. */
#define _GNU_SOURCE
#include "cpusim.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

uintptr_t image_low, image_high, code_low, code_high;
static char handler_stack[64 << 10];

void fault(const char *kind, uintptr_t pc, int line, const char *format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    report_fault(kind, message, pc, line, mode == DEVICE ? current : NULL);
}

void fault_of(const Fiber *who, const char *kind, uintptr_t pc, int line, const char *format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    report_fault(kind, message, pc, line, who);
}

void note(const char *kind, uintptr_t pc, int line, const char *message) {
    static const char *told[8];
    for (int i = 0; i < 8; i++) {
        if (told[i] && !strcmp(told[i], kind)) return;
        if (told[i]) continue;
        told[i] = kind;
        report_note(kind, message, pc, line);
        return;
    }
}

void broken(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "cpusim: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(2);
}

static int in_code(uintptr_t pc) { return pc >= code_low && pc < code_high; }

static uintptr_t interrupted_at(void *context) {
#if defined(__x86_64__)
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    const uintptr_t *stack = (const uintptr_t *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
#else
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.pc;
    const uintptr_t *stack = (const uintptr_t *)(uintptr_t)((ucontext_t *)context)->uc_mcontext.sp;
#endif
    if (in_code(pc) || mode != DEVICE) return pc;
    /* In a function that the kernel called, or on the way there: the first word on the thread's stack that points into
       the kernel's code. */
    for (int word = 0; word < 64 && (const char *)(stack + word + 1) <= current->stack_high; word++)
        if ((const char *)stack >= current->stack_low && in_code(stack[word])) return stack[word] - 1;
    return pc;
}

static void on_segv(int number, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr, pc = interrupted_at(context) + 1;
    char text[160];
    (void)number;
    if (mode == RUNTIME) broken("the emulator touched %p at %p", info->si_addr, (void *)pc);
    if (mode == HOST) {
        if (address - device_base < device_span) fault("host_access", pc, 0, "launch() touches device memory: only kernels may");
        fault("host_crash", pc, 0, "launch() used a bad address");
    }
    if (address >= (uintptr_t)stacks_low && address < (uintptr_t)stacks_high)
        fault("stack_overflow", pc, 0, "a thread needs more than 128 KiB for local variables");
    memory_describe(address, 1, text, sizeof text);
    fault(address < 65536 ? "null_pointer" : "out_of_bounds", pc, 0, "an access at %s", text);
}

static void end_after(double seconds) {
    struct itimerval timer = {.it_value = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) + 1}};
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

/* Between two threads no line of the kernel is to blame: a moment later one is. */
static int between_threads(uintptr_t pc) {
    static int moments;
    if (mode == HOST || (mode == DEVICE && in_code(pc - 1)) || moments++ == 1000) return 0;
    end_after(0.001);
    return 1;
}

static void on_other_signal(int number, siginfo_t *info, void *context) {
    uintptr_t pc = interrupted_at(context) + 1;
    (void)info;
    if (number == SIGVTALRM && between_threads(pc)) return;
    if (mode == RUNTIME && number != SIGVTALRM) broken("signal %d", number);
    if (number == SIGFPE) fault("division_by_zero", pc, 0, "an integer is divided by zero");
    if (number == SIGVTALRM) fault("timeout", pc, 0, "%s did not end within %g s of processor time", mode == HOST ? "launch()" : "the kernel", job.cpu_s);
    fault("trap", pc, 0, "the kernel ran into code that must not be reached");
}

void fault_init(void) {
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&stack, NULL);
    action.sa_sigaction = on_segv;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    action.sa_sigaction = on_other_signal;
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
    sigaction(SIGVTALRM, &action, NULL);
    if (job.cpu_s > 0) end_after(job.cpu_s);
}

void cpusim_fail(const char *kind, const char *message, int line) { fault(kind, 0, line, "%s", message); }
