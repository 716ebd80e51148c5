/* Device memory: every buffer in pages of its own, unusable pages around it, in an order and with gaps that differ from
   call to call. Only while a kernel runs can any of it be touched. */
#include "cpusim.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SHIFT 14
#define PAGE ((uint64_t)1 << PAGE_SHIFT)
#define GUARD ((uint64_t)1 << 20)
#define POISON 0xFF

uintptr_t device_base, device_span;
uint8_t *page_owner;
Cell *device_cells;
uint32_t *sectors_read, *sectors_written;
static uint64_t capacity;

static void *reserve(uint64_t bytes, int access) {
    void *area = mmap(NULL, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) broken("no memory for buffers: %s", strerror(errno));
    return area;
}

static uint64_t pages_of(uint64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

/* A new place for all buffers; what lay in the old one is gone. */
void memory_plan(uint64_t seed) {
    uint64_t total = GUARD;
    if (!capacity) {
        for (unsigned i = 0; i < job.buffers; i++) total += pages_of(job.buffer[i].bytes) + 5 * GUARD;
        capacity = total;
        device_base = ((uintptr_t)reserve(total + PAGE, PROT_NONE) + PAGE - 1) / PAGE * PAGE;
        device_span = total;
        page_owner = reserve(total / PAGE + 1, PROT_READ | PROT_WRITE);
        device_cells = reserve(total / 4 * sizeof(Cell), PROT_READ | PROT_WRITE);
        if (job.trace) {
            sectors_read = reserve(total / 32 * 4, PROT_READ | PROT_WRITE);
            sectors_written = reserve(total / 32 * 4, PROT_READ | PROT_WRITE);
        }
    } else if (mmap((void *)device_base, device_span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        broken("no memory for buffers");
    memset(page_owner, 0, device_span / PAGE + 1);
    uint64_t at = GUARD, first = seed;
    for (unsigned n = 0; n < job.buffers; n++) {
        unsigned i = (unsigned)((n + first) % job.buffers);
        Buffer *buffer = &job.buffer[i];
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        at += (seed >> 33) % 16 * PAGE * 4;
        buffer->pages = (char *)device_base + at;
        buffer->page_bytes = pages_of(buffer->bytes);
        buffer->data = buffer->pages + (buffer->page_bytes - buffer->bytes) / 256 * 256; /* as near to the guard as 256 divides */
        memset(page_owner + at / PAGE, (int)i + 1, buffer->page_bytes / PAGE);
        at += buffer->page_bytes + GUARD;
    }
}

static void protect(Buffer *buffer, int access) {
    if (buffer->page_bytes && mprotect(buffer->pages, buffer->page_bytes, access)) broken("mprotect: %s", strerror(errno));
}

/* A file as long as several calls' content holds that of each. */
static void read_input(Buffer *buffer, uint64_t call) {
    uint64_t done = 0, sets = buffer->bytes ? buffer->file_bytes / buffer->bytes : 1;
    uint64_t from = sets ? call % sets * buffer->bytes : 0;
    while (done < buffer->bytes) {
        ssize_t got = pread(buffer->descriptor, buffer->data + done, buffer->bytes - done, (off_t)(from + done));
        if (got <= 0) broken("the input %s has no %llu bytes", buffer->name, (unsigned long long)buffer->bytes);
        done += (uint64_t)got;
    }
}

void memory_fill(uint64_t call) {
    for (unsigned i = 0; i < job.buffers; i++) {
        Buffer *buffer = &job.buffer[i];
        protect(buffer, PROT_READ | PROT_WRITE);
        memset(buffer->pages, POISON, buffer->page_bytes);
        if (buffer->role == 0) read_input(buffer, call);
    }
    memory_open(0);
}

void memory_open(int open) {
    for (unsigned i = 0; i < job.buffers; i++)
        protect(&job.buffer[i], !open ? PROT_NONE : job.buffer[i].role == 0 ? PROT_READ : PROT_READ | PROT_WRITE);
}

void memory_store_outputs(void) {
    for (unsigned i = 0; i < job.buffers; i++) {
        Buffer *buffer = &job.buffer[i];
        if (buffer->role != 1) continue;
        protect(buffer, PROT_READ);
        for (uint64_t done = 0; done < buffer->bytes;) {
            ssize_t put = write(buffer->descriptor, buffer->data + done, buffer->bytes - done);
            if (put <= 0) broken("the output %s cannot be written: %s", buffer->name, strerror(errno));
            done += (uint64_t)put;
        }
        protect(buffer, PROT_NONE);
    }
}

/* The buffer in whose pages an address lies, or NULL. */
Buffer *memory_buffer(uintptr_t address) {
    if (address - device_base >= device_span) return NULL;
    unsigned owner = page_owner[(address - device_base) >> PAGE_SHIFT];
    return owner ? &job.buffer[owner - 1] : NULL;
}

/* Says where an address lies that is no part of a buffer. */
void memory_describe(uintptr_t address, unsigned size, char *text, size_t room) {
    const Buffer *nearest = NULL;
    uint64_t distance = ~0ull;
    for (unsigned i = 0; i < job.buffers; i++) {
        const Buffer *buffer = &job.buffer[i];
        uintptr_t low = (uintptr_t)buffer->data, high = low + buffer->bytes;
        uint64_t away = address < low ? low - address : address + size > high ? address + size - high : 0;
        if (away < distance) distance = away, nearest = buffer;
    }
    if (address < 65536)
        snprintf(text, room, "address %#llx: a null pointer", (unsigned long long)address);
    else if (nearest && distance < 16 * GUARD)
        snprintf(text, room, "byte %lld of the %llu bytes of '%s'", (long long)(address - (uintptr_t)nearest->data),
                 (unsigned long long)nearest->bytes, nearest->name);
    else
        snprintf(text, room, "an address that belongs to no buffer (a pointer of the host?)");
}
