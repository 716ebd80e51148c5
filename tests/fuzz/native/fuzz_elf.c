// The ELF loader: a program that may be anything is opened, searched and mapped, as one region per segment and into one RAM.
#include <stdio.h>

#include "elf.h"
#include "target.h"

void fuzz_elf(const uint8_t *data, size_t size) {
    char error[200], text[120];
    Elf *elf = elf_open(file_of(data, size), error);
    if (!elf) return;
    uint64_t address = 0, low, high;
    elf_symbol(elf, "solution", &address);
    elf_symbolise(elf, address, text, sizeof text);
    elf_symbolise(elf, elf_entry(elf), text, sizeof text);
    elf_symbolise(elf, UINT64_MAX, text, sizeof text);
    elf_extent(elf, &low, &high);
    Memory *memory = memory_new();
    if (elf_map(elf, memory, error)) {
        memory_explain(memory, address, text, sizeof text);
        memory_try(memory, high - 1, 1, MEM_R);
    }
    memory_clear(memory);
    if (memory_add(memory, 0x80000000, 1 << 20, MEM_R | MEM_W | MEM_X, "RAM", error)) elf_copy(elf, memory, error);
    memory_free(memory);
    elf_free(elf);
}
