// Start-up, the passage into user mode and back, and the counters around it.
#define GEMMINI_FLUSH .insn r 0x7b, 3, 7, x0, x0, x0
#define CONTEXT_REGISTERS 13

    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, park
    la t0, park
    csrw mtvec, t0
    csrw mie, zero
    li t0, 0x1e000              // floating point and the accelerator are on
    csrs mstatus, t0
    fscsr zero
    // A core without supervisor mode has no such registers: whatever traps is stepped over.
    la t0, 1f
    csrw mtvec, t0
    csrw satp, zero
    .balign 4
1:  la t0, 2f
    csrw mtvec, t0
    csrw medeleg, zero
    csrw mideleg, zero
    .balign 4
2:  la sp, stack_top
    call harness
    .balign 4
park:
    wfi
    j park

// void protect(const uint64_t address[8], uint64_t configuration): memory protection, where the core has it.
    .text
    .globl protect
protect:
    la t0, 1f
    csrw mtvec, t0
    csrw pmpcfg0, zero
    ld t1, 0(a0)
    csrw pmpaddr0, t1
    ld t1, 8(a0)
    csrw pmpaddr1, t1
    ld t1, 16(a0)
    csrw pmpaddr2, t1
    ld t1, 24(a0)
    csrw pmpaddr3, t1
    ld t1, 32(a0)
    csrw pmpaddr4, t1
    ld t1, 40(a0)
    csrw pmpaddr5, t1
    ld t1, 48(a0)
    csrw pmpaddr6, t1
    ld t1, 56(a0)
    csrw pmpaddr7, t1
    csrw pmpcfg0, a1
    .balign 4
1:  la t0, park
    csrw mtvec, t0
    ret

// void run_user(struct Outcome *, const struct Entry *): see harness.c. Both counters are read in machine mode, the last
// thing before the entry and, after a fence that waits for the accelerator, the first thing after the trap that ends it.
    .globl run_user
run_user:
    addi sp, sp, -8 * (CONTEXT_REGISTERS + 1)
    sd ra, 0(sp)
    sd s0, 8(sp)
    sd s1, 16(sp)
    sd s2, 24(sp)
    sd s3, 32(sp)
    sd s4, 40(sp)
    sd s5, 48(sp)
    sd s6, 56(sp)
    sd s7, 64(sp)
    sd s8, 72(sp)
    sd s9, 80(sp)
    sd s10, 88(sp)
    sd s11, 96(sp)
    la t0, context
    sd sp, 0(t0)
    sd a0, 8(t0)
    la t1, ended
    csrw mtvec, t1
    li t1, 0x1880               // return to user mode, interrupts off
    csrc mstatus, t1
    mv t1, a1
    ld t2, 0(t1)
    csrw mepc, t2
    ld gp, 8(t1)
    ld sp, 16(t1)
    la ra, user_return
    ld a0, 24(t1)
    ld a1, 32(t1)
    ld a2, 40(t1)
    ld a3, 48(t1)
    ld a4, 56(t1)
    ld a5, 64(t1)
    ld a6, 72(t1)
    ld a7, 80(t1)
    GEMMINI_FLUSH
    fence
    csrr t1, minstret
    csrr t2, mcycle
    sd t1, 24(t0)
    sd t2, 16(t0)
    mret
    .balign 4
ended:
    fence
    csrr t1, mcycle
    csrr t2, minstret
    la t0, park
    csrw mtvec, t0
    la t0, context
    ld sp, 0(t0)
    ld a0, 8(t0)
    ld t3, 16(t0)
    ld t4, 24(t0)
    sub t1, t1, t3
    sub t2, t2, t4
    sd t1, 0(a0)
    sd t2, 8(a0)
    csrr t1, mcause
    sd t1, 16(a0)
    csrr t1, mepc
    sd t1, 24(a0)
    csrr t1, mtval
    sd t1, 32(a0)
    ld ra, 0(sp)
    ld s0, 8(sp)
    ld s1, 16(sp)
    ld s2, 24(sp)
    ld s3, 32(sp)
    ld s4, 40(sp)
    ld s5, 48(sp)
    ld s6, 56(sp)
    ld s7, 64(sp)
    ld s8, 72(sp)
    ld s9, 80(sp)
    ld s10, 88(sp)
    ld s11, 96(sp)
    addi sp, sp, 8 * (CONTEXT_REGISTERS + 1)
    ret

    .section .bss
    .balign 64
context:                        // stack pointer, outcome, mcycle and minstret at the entry
    .skip 32

    .section .user, "ax"
    .globl user_return, user_empty, user_peek
    .balign 4
user_return:                    // the kernel's return address
    ecall
    .balign 4
user_empty:
    ret
    .balign 4
user_peek:                      // reads where only the harness may
    ld a0, 0(a0)
    ret

    .section .htif, "aw"
    .globl tohost, fromhost
    .balign 64
tohost:
    .quad 0
fromhost:
    .quad 0
