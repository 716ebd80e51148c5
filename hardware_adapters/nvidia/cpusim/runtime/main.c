/* cpusim JOB CANDIDATE: loads the candidate, a shared library made of a rewritten .cu, and calls its launch(). */
#define _GNU_SOURCE
#include "cpusim.h"
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char cpusim_stream;
float expf(float x); /* named, so that the library of mathematics is loaded, whose functions candidates call */
float (*volatile cpusim_mathematics)(float) = expf;
typedef int (*LaunchFunction)(void **, const int64_t *, void *);

static int find_image(struct dl_phdr_info *info, size_t size, void *wanted) {
    (void)size;
    uintptr_t low = ~(uintptr_t)0, high = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, to = from + info->dlpi_phdr[i].p_memsz;
        low = from < low ? from : low;
        high = to > high ? to : high;
    }
    if ((uintptr_t)wanted < low || (uintptr_t)wanted >= high) return 0;
    image_low = info->dlpi_addr;
    image_high = high;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO) {
            relro_low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            relro_high = relro_low + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

/* The section that `launch` is in: what the linker puts beside it, to jump into the emulator, has no lines. */
static void find_code(const char *path, uintptr_t launch) {
    ElfW(Ehdr) head;
    ElfW(Shdr) section;
    FILE *file = fopen(path, "rb");
    if (!file || fread(&head, sizeof head, 1, file) != 1) broken("the candidate's sections cannot be read");
    for (int i = 0; i < head.e_shnum; i++) {
        if (fseek(file, (long)(head.e_shoff + (ElfW(Off))i * head.e_shentsize), SEEK_SET) || fread(&section, sizeof section, 1, file) != 1)
            broken("the candidate's sections cannot be read");
        uintptr_t from = image_low + section.sh_addr, to = from + section.sh_size;
        if ((section.sh_flags & SHF_EXECINSTR) && launch >= from && launch < to) code_low = from, code_high = to;
    }
    fclose(file);
}

static LaunchFunction load(const char *path) {
    mode = HOST;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) broken("%s", dlerror());
    void *symbol = dlsym(library, "launch");
    mode = RUNTIME;
    if (!symbol) {
        fault("no_launch", 0, 0, "there is no function `extern \"C\" int launch(void** buffers, const int64_t* dims, cudaStream_t stream)`");
    }
    dl_iterate_phdr(find_image, symbol);
    find_code(path, (uintptr_t)symbol);
    LaunchFunction function;
    memcpy(&function, &symbol, sizeof function);
    return function;
}

uintptr_t relro_low, relro_high, host_stack_high;
Arguments *host_arguments;
int candidate_owns(uintptr_t address, unsigned size) {
    return address >= image_low && address + size <= image_high && (address + size <= relro_low || address >= relro_high);
}

/* A frame of its own: what lies above it is not the candidate's. */
__attribute__((noinline)) static int call_launch(LaunchFunction launch) {
    host_stack_high = (uintptr_t)__builtin_frame_address(0);
    mode = HOST;
    int value = launch(host_arguments->pointer, host_arguments->dim, &cpusim_stream);
    mode = RUNTIME;
    return value;
}

int main(int count, char **words) {
    if (count != 3) broken("usage: cpusim JOB CANDIDATE");
    job_read(words[1]);
    report_open();
    fibers_init();
    shared_init();
    fault_init();
    LaunchFunction launch = load(words[2]);
    if (job.trace) trace_variables();
    confine();
    for (int call = 0; call < job.calls; call++) {
        /* Pointers and sizes are handed over in memory that no kernel may use: a kernel gets them by value. */
        host_arguments = calloc(1, sizeof *host_arguments);
        if (!host_arguments) broken("no memory");
        memory_plan(job.seed + (uint64_t)call);
        memory_fill((uint64_t)call);
        for (unsigned i = 0; i < job.buffers; i++) host_arguments->pointer[i] = job.buffer[i].data;
        memcpy(host_arguments->dim, job.dim, sizeof job.dim);
        int value = call_launch(launch);
        report_return(value);
        memory_store_outputs();
        if (value) break;
    }
    trace_report();
    report_finish();
}
