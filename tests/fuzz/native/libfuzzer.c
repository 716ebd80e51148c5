// The same targets for libFuzzer: GEMSIM_FUZZ_TARGET=code fuzzer -max_len=4096 corpus/
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

static Target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *name = getenv("GEMSIM_FUZZ_TARGET");
    (void)argc, (void)argv;
    target = name ? target_named(name) : NULL;
    if (!target) fprintf(stderr, "set GEMSIM_FUZZ_TARGET to elf, code, commands or job\n"), exit(2);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    target(data, size);
    return 0;
}
