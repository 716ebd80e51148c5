// row: 3
// what: the entry is the address to which the kernel returns
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
asm(".globl solution\n.set solution, 0x10000");
