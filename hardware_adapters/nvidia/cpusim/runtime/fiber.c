/* One fiber per CUDA thread: a stack with a guard page, and a switch that saves only what the ABI says a call keeps. */
#include "cpusim.h"
#include <string.h>
#include <sys/mman.h>

#define STACK_BYTES (128u << 10)
#define GUARD_BYTES (16u << 10) /* a page of any Linux that we know */

Fiber fibers[MAX_THREADS];
Fiber *current;
char *stacks_low, *stacks_high;
uint32_t whole_word;
static void *scheduler_sp;
extern struct { unsigned x, y, z; } threadIdx;

void cpusim_switch(void **save, void *load);
#if defined(__x86_64__)
__asm__(".text\n.globl cpusim_switch\n.type cpusim_switch,@function\ncpusim_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size cpusim_switch,.-cpusim_switch\n");
#define SAVED_WORDS 6
#elif defined(__aarch64__)
__asm__(".text\n.globl cpusim_switch\n.type cpusim_switch,%function\ncpusim_switch:\n"
        "sub sp,sp,#160\n"
        "stp x19,x20,[sp,#0]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
        "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
        "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
        "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
        "ldp x19,x20,[sp,#0]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
        "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
        "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
        "add sp,sp,#160\nret\n"
        ".size cpusim_switch,.-cpusim_switch\n");
#else
#error "cpusim's context switch is written for x86-64 and aarch64"
#endif

void fibers_init(void) {
    size_t each = STACK_BYTES + GUARD_BYTES;
    char *area = mmap(NULL, each * MAX_THREADS, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) broken("no memory for %d stacks", MAX_THREADS);
    stacks_low = area;
    stacks_high = area + each * MAX_THREADS;
    for (unsigned tid = 0; tid < MAX_THREADS; tid++) {
        Fiber *fiber = &fibers[tid];
        fiber->tid = tid;
        fiber->lane = tid % WARP;
        fiber->warp = tid / WARP;
        fiber->stack_low = area + tid * each + GUARD_BYTES;
        fiber->stack_high = fiber->stack_low + STACK_BYTES;
        if (mprotect(fiber->stack_low, STACK_BYTES, PROT_READ | PROT_WRITE)) broken("no memory for stacks");
    }
}

static void fiber_main(void) {
    running->entry(running->closure);
    if (unlikely(pending_write)) access_settle();
    fiber_leave(EXITED);
    __builtin_trap();
}

void fiber_prepare(Fiber *fiber) {
    uintptr_t top = (uintptr_t)fiber->stack_high;
#if defined(__x86_64__)
    uintptr_t *sp = (uintptr_t *)(top - 8);
    *sp = 0; /* where fiber_main would return to */
    *--sp = (uintptr_t)fiber_main;
    for (int word = 0; word < SAVED_WORDS; word++) *--sp = 0;
    fiber->sp = sp;
#else
    uintptr_t *sp = (uintptr_t *)(top - 160);
    memset(sp, 0, 160);
    sp[11] = (uintptr_t)fiber_main; /* x30 */
    fiber->sp = sp;
#endif
    fiber->state = READY;
    fiber->spins = 0;
}

void fiber_enter(Fiber *fiber) {
    current = fiber;
    memcpy(&threadIdx, &fiber->index, sizeof threadIdx);
    mode = DEVICE;
    whole_word = fiber->tid | BYTES | (uint32_t)warp_epoch[fiber->warp] << EPOCH_AT;
    cpusim_switch(&scheduler_sp, fiber->sp);
    mode = RUNTIME;
}

void fiber_leave(unsigned state) {
    Fiber *fiber = current;
    fiber->state = state;
    cpusim_switch(&fiber->sp, scheduler_sp);
}
