#include "elf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 64 << 20, MAX_SEGMENTS = 16, EM_RISCV = 243, PT_LOAD = 1, SHT_SYMTAB = 2 };
enum { HEADER_BYTES = 64, PROGRAM_HEADER_BYTES = 56, SECTION_HEADER_BYTES = 64, SYMBOL_BYTES = 24 };
enum { PF_X = 1, PF_W = 2, PF_R = 4 };

typedef struct Segment {
    uint64_t address, offset, file_bytes, memory_bytes;
    unsigned access;
} Segment;

struct Elf {
    uint8_t *file;
    uint64_t bytes, entry;
    Segment segment[MAX_SEGMENTS];
    int segments;
    uint64_t symbols_at, symbol_count, strings_at, strings_bytes;
};

static uint64_t field(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int inside(const Elf *e, uint64_t at, uint64_t bytes) { return at <= e->bytes && bytes <= e->bytes - at; }

static int read_file(Elf *e, const char *path, char error[200]) {
    FILE *f = fopen(path, "rb");
    if (!f) return snprintf(error, 200, "cannot open %.150s", path), 0;
    uint64_t capacity = 1 << 16;
    e->file = malloc(capacity);
    for (;;) {
        if (!e->file) break;
        e->bytes += fread(e->file + e->bytes, 1, capacity - e->bytes, f);
        if (e->bytes < capacity) break;
        if (capacity >= MAX_FILE_BYTES) {
            fclose(f);
            return snprintf(error, 200, "program larger than %d MiB", MAX_FILE_BYTES >> 20), 0;
        }
        capacity *= 2;
        uint8_t *bigger = realloc(e->file, capacity);
        if (!bigger) free(e->file);
        e->file = bigger;
    }
    int bad = ferror(f) || !e->file;
    fclose(f);
    if (bad) return snprintf(error, 200, "cannot read %.150s", path), 0;
    return 1;
}

static int check_header(Elf *e, char error[200]) {
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F', 2, 1}; // 64-bit, little endian
    const uint8_t *h = e->file;
    if (e->bytes < HEADER_BYTES || memcmp(h, magic, sizeof magic) != 0)
        return snprintf(error, 200, "not an ELF64 little-endian file"), 0;
    if (field(h + 18, 2) != EM_RISCV) return snprintf(error, 200, "not a RISC-V program (machine %d)", (int)field(h + 18, 2)), 0;
    if (field(h + 16, 2) != 2) return snprintf(error, 200, "not a statically linked executable (type %d)", (int)field(h + 16, 2)), 0;
    e->entry = field(h + 24, 8);
    return 1;
}

static int read_segments(Elf *e, char error[200]) {
    uint64_t table = field(e->file + 32, 8), size = field(e->file + 54, 2), count = field(e->file + 56, 2);
    if (size != PROGRAM_HEADER_BYTES || !inside(e, table, count * size))
        return snprintf(error, 200, "program header table outside the file"), 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *p = e->file + table + i * size;
        if (field(p, 4) != PT_LOAD) continue;
        Segment s = {.offset = field(p + 8, 8), .address = field(p + 16, 8), .file_bytes = field(p + 32, 8),
                     .memory_bytes = field(p + 40, 8)};
        if (s.memory_bytes == 0) continue;
        unsigned flags = (unsigned)field(p + 4, 4);
        s.access = (flags & PF_R ? MEM_R : 0u) | (flags & PF_W ? MEM_W : 0u) | (flags & PF_X ? MEM_X | MEM_R : 0u);
        if (s.file_bytes > s.memory_bytes || !inside(e, s.offset, s.file_bytes))
            return snprintf(error, 200, "segment %" PRIu64 ": contents outside the file", i), 0;
        if (s.address + s.memory_bytes < s.address)
            return snprintf(error, 200, "segment %" PRIu64 ": address range wraps around", i), 0;
        if (e->segments == MAX_SEGMENTS) return snprintf(error, 200, "more than %d segments", MAX_SEGMENTS), 0;
        e->segment[e->segments++] = s;
    }
    if (e->segments == 0) return snprintf(error, 200, "no loadable segment"), 0;
    return 1;
}

// A missing or damaged symbol table is not an error here: asking for a symbol then fails.
static void find_symbols(Elf *e) {
    uint64_t table = field(e->file + 40, 8), size = field(e->file + 58, 2), count = field(e->file + 60, 2);
    if (size != SECTION_HEADER_BYTES || !inside(e, table, count * size)) return;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *s = e->file + table + i * size;
        if (field(s + 4, 4) != SHT_SYMTAB) continue;
        uint64_t link = field(s + 40, 4), at = field(s + 24, 8), bytes = field(s + 32, 8);
        if (link >= count || !inside(e, at, bytes)) return;
        const uint8_t *t = e->file + table + link * size;
        uint64_t strings_at = field(t + 24, 8), strings_bytes = field(t + 32, 8);
        if (strings_bytes == 0 || !inside(e, strings_at, strings_bytes)) return;
        if (e->file[strings_at + strings_bytes - 1] != 0) return; // names must end inside the table
        e->symbols_at = at;
        e->symbol_count = bytes / SYMBOL_BYTES;
        e->strings_at = strings_at;
        e->strings_bytes = strings_bytes;
        return;
    }
}

Elf *elf_open(const char *path, char error[200]) {
    Elf *e = calloc(1, sizeof *e);
    if (!e) return snprintf(error, 200, "out of memory"), NULL;
    if (!read_file(e, path, error) || !check_header(e, error) || !read_segments(e, error)) {
        elf_free(e);
        return NULL;
    }
    find_symbols(e);
    return e;
}

void elf_free(Elf *e) {
    if (!e) return;
    free(e->file);
    free(e);
}

uint64_t elf_entry(const Elf *e) { return e->entry; }

static const char *symbol_name(const Elf *e, const uint8_t *symbol) {
    uint64_t name = field(symbol, 4);
    return name < e->strings_bytes ? (const char *)e->file + e->strings_at + name : "";
}

int elf_symbol(const Elf *e, const char *name, uint64_t *address) {
    for (uint64_t i = 0; i < e->symbol_count; i++) {
        const uint8_t *s = e->file + e->symbols_at + i * SYMBOL_BYTES;
        if (field(s + 6, 2) == 0 || strcmp(symbol_name(e, s), name) != 0) continue;
        *address = field(s + 8, 8);
        return 1;
    }
    return 0;
}

void elf_symbolise(const Elf *e, uint64_t address, char *text, size_t text_bytes) {
    uint64_t best = 0;
    const char *name = NULL;
    for (uint64_t i = 0; i < e->symbol_count; i++) {
        const uint8_t *s = e->file + e->symbols_at + i * SYMBOL_BYTES;
        uint64_t value = field(s + 8, 8);
        if ((s[4] & 15) != 2 || value > address || (name && value < best)) continue; // STT_FUNC
        best = value;
        name = symbol_name(e, s);
    }
    if (text_bytes) text[0] = 0;
    if (name && address - best < (1 << 20)) snprintf(text, text_bytes, "%.80s+0x%" PRIx64, name, address - best);
}

int elf_map(const Elf *e, Memory *m, char error[200]) {
    for (int i = 0; i < e->segments; i++) {
        const Segment *s = &e->segment[i];
        const char *name = s->access & MEM_X ? "code" : s->access & MEM_W ? "data" : "constants";
        Region *r = memory_add(m, s->address, s->memory_bytes, s->access, name, error);
        if (!r) return 0;
        memcpy(r->host, e->file + s->offset, s->file_bytes);
    }
    return 1;
}

void elf_extent(const Elf *e, uint64_t *low, uint64_t *high) {
    *low = UINT64_MAX;
    *high = 0;
    for (int i = 0; i < e->segments; i++) {
        const Segment *s = &e->segment[i];
        if (s->address < *low) *low = s->address;
        if (s->address + s->memory_bytes > *high) *high = s->address + s->memory_bytes;
    }
}

int elf_copy(const Elf *e, Memory *m, char error[200]) {
    for (int i = 0; i < e->segments; i++) {
        const Segment *s = &e->segment[i];
        uint8_t *host = memory_try(m, s->address, s->memory_bytes, 0);
        if (!host)
            return snprintf(error, 200, "segment at 0x%" PRIx64 " (%" PRIu64 " bytes) is outside the RAM", s->address, s->memory_bytes), 0;
        memcpy(host, e->file + s->offset, s->file_bytes);
        memset(host + s->file_bytes, 0, s->memory_bytes - s->file_bytes);
    }
    return 1;
}
