// Loads statically linked ELF64 RISC-V programs. Every field of the file is distrusted.
#ifndef GEMSIM_ELF_H
#define GEMSIM_ELF_H

#include <stddef.h>
#include <stdint.h>

#include "memory.h"

typedef struct Elf Elf;

// Reads and checks the file; NULL with a text in error[] when it is not a loadable program.
Elf *elf_open(const char *path, char error[200]);
void elf_free(Elf *);

uint64_t elf_entry(const Elf *);

// Address of a defined symbol; 0 when there is none.
int elf_symbol(const Elf *, const char *name, uint64_t *address);

// Nearest preceding function symbol, for diagnoses: "name+0x12"; empty when unknown.
void elf_symbolise(const Elf *, uint64_t address, char *text, size_t text_bytes);

// Adds one region per loadable segment and copies its bytes. 0 with a text in error[] on failure.
int elf_map(const Elf *, Memory *, char error[200]);

// Lowest address and end of all loadable segments.
void elf_extent(const Elf *, uint64_t *low, uint64_t *high);

// Copies the segments into memory that is already mapped (one RAM). 0 with a text in error[] on failure.
int elf_copy(const Elf *, Memory *, char error[200]);

#endif
