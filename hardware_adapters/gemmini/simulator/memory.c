#include "memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

// Bound on what one job may make the simulator allocate.
static const uint64_t MEMORY_TOTAL_BYTES = 1ull << 30;
// A frame may be large: an access this far below the stack is still called an overflow of the stack.
static const uint64_t STACK_GUARD_BYTES = 16ull << 20;

struct Memory {
    Region region[MEMORY_MAX_REGIONS]; // sorted by base
    int count;
    int last; // index of the region of the last hit: accesses cluster
    uint64_t total_bytes;
    int watching, unfenced; // regions with unfenced bytes
};

Memory *memory_new(void) { return calloc(1, sizeof(Memory)); }

void memory_clear(Memory *m) {
    for (int i = 0; i < m->count; i++) free(m->region[i].host), free(m->region[i].unfenced);
    memset(m, 0, sizeof *m);
}

void memory_free(Memory *m) {
    if (!m) return;
    memory_clear(m);
    free(m);
}

Region *memory_add(Memory *m, uint64_t base, uint64_t bytes, unsigned access, const char *name, char error[200]) {
    if (bytes == 0 || base + bytes < base) {
        snprintf(error, 200, "region %s: %" PRIu64 " bytes at 0x%" PRIx64 " is empty or wraps around", name, bytes, base);
        return NULL;
    }
    if (m->count == MEMORY_MAX_REGIONS) {
        snprintf(error, 200, "region %s: more than %d regions", name, MEMORY_MAX_REGIONS);
        return NULL;
    }
    if (bytes > MEMORY_TOTAL_BYTES - m->total_bytes) {
        snprintf(error, 200, "region %s: %" PRIu64 " bytes: the machine has at most %" PRIu64, name, bytes, MEMORY_TOTAL_BYTES);
        return NULL;
    }
    int at = 0;
    while (at < m->count && m->region[at].base < base) at++;
    const Region *clash = NULL;
    if (at > 0 && m->region[at - 1].base + m->region[at - 1].bytes > base) clash = &m->region[at - 1];
    if (at < m->count && base + bytes > m->region[at].base) clash = &m->region[at];
    if (clash) {
        snprintf(error, 200, "region %s at 0x%" PRIx64 " overlaps %s", name, base, clash->name);
        return NULL;
    }
    uint8_t *host = calloc(1, bytes);
    if (!host) {
        snprintf(error, 200, "region %s: out of host memory for %" PRIu64 " bytes", name, bytes);
        return NULL;
    }
    memmove(&m->region[at + 1], &m->region[at], (size_t)(m->count - at) * sizeof(Region));
    Region *r = &m->region[at];
    memset(r, 0, sizeof *r);
    r->base = base;
    r->bytes = bytes;
    r->access = access;
    r->host = host;
    snprintf(r->name, sizeof r->name, "%s", name);
    m->count++;
    m->last = at;
    m->total_bytes += bytes;
    return r;
}

static Region *find(Memory *m, uint64_t addr) {
    if (m->count == 0) return NULL;
    Region *r = &m->region[m->last];
    if (addr - r->base < r->bytes) return r;
    int low = 0, high = m->count; // first region with base > addr
    while (low < high) {
        int mid = (low + high) / 2;
        if (m->region[mid].base > addr) high = mid;
        else low = mid + 1;
    }
    if (low == 0) return NULL;
    r = &m->region[low - 1];
    if (addr - r->base >= r->bytes) return NULL;
    m->last = low - 1;
    return r;
}

Region *memory_region(Memory *m, uint64_t addr) { return find(m, addr); }

uint8_t *memory_try(Memory *m, uint64_t addr, uint64_t bytes, unsigned access) {
    Region *r = find(m, addr);
    if (!r || (r->access & access) != access) return NULL;
    uint64_t offset = addr - r->base;
    if (bytes > r->bytes - offset) return NULL;
    return r->host + offset;
}

static const char *access_text(unsigned access) {
    switch (access & (MEM_R | MEM_W | MEM_X)) {
    case MEM_R | MEM_W | MEM_X: return "read-write-execute";
    case MEM_R | MEM_W: return "read-write";
    case MEM_R | MEM_X: return "read-execute";
    case MEM_R: return "read-only";
    default: return "no access";
    }
}

void memory_explain(Memory *m, uint64_t addr, char *text, uint64_t text_bytes) {
    const Region *near = NULL;
    uint64_t distance = 0;
    int below = 0;
    for (int i = 0; i < m->count; i++) {
        const Region *r = &m->region[i];
        uint64_t d;
        int is_below = addr < r->base;
        if (is_below) d = r->base - addr;
        else if (addr - r->base < r->bytes) d = 0;
        else d = addr - (r->base + r->bytes);
        if (!near || d < distance) {
            near = r;
            distance = d;
            below = is_below;
        }
    }
    if (!near) {
        snprintf(text, text_bytes, "no memory is mapped");
        return;
    }
    uint64_t end = near->base + near->bytes;
    if (addr - near->base < near->bytes)
        snprintf(text, text_bytes, "%" PRIu64 " bytes into %s (%s, 0x%" PRIx64 "..0x%" PRIx64 ")", addr - near->base,
                 near->name, access_text(near->access), near->base, end);
    else if (distance == 0)
        snprintf(text, text_bytes, "just past the end of %s (%s, 0x%" PRIx64 "..0x%" PRIx64 ")", near->name,
                 access_text(near->access), near->base, end);
    else if (addr < 4096)
        snprintf(text, text_bytes, "a null pointer plus %" PRIu64, addr);
    else
        snprintf(text, text_bytes, "%" PRIu64 " bytes %s of %s (%s, 0x%" PRIx64 "..0x%" PRIx64 ")", distance,
                 below ? "before the start" : "past the end", near->name, access_text(near->access), near->base, end);
}

static _Noreturn void refuse(Memory *m, uint64_t addr, uint64_t bytes, unsigned access, const char *who) {
    char where[200];
    for (int i = 0; i < m->count; i++) {
        const Region *r = &m->region[i];
        if (r->is_stack && addr < r->base && r->base - addr <= STACK_GUARD_BYTES)
            fault_raise("stack_overflow", "%s of %" PRIu64 " bytes at 0x%" PRIx64 ": %" PRIu64 " bytes below the stack of %" PRIu64
                        " KiB", who, bytes, addr, r->base - addr, r->bytes / 1024);
    }
    Region *r = find(m, addr);
    if (r && (r->access & access) == access) { // starts inside, runs over the end
        fault_raise("illegal_address", "%s of %" PRIu64 " bytes at 0x%" PRIx64 ": runs %" PRIu64 " bytes past the end of %s (%s, 0x%"
                    PRIx64 "..0x%" PRIx64 ")", who, bytes, addr, bytes - (r->bytes - (addr - r->base)), r->name,
                    access_text(r->access), r->base, r->base + r->bytes);
    }
    memory_explain(m, addr, where, sizeof where);
    fault_raise("illegal_address", "%s of %" PRIu64 " bytes at 0x%" PRIx64 ": %s%s", who, bytes, addr, where,
                r ? (access & MEM_W) ? ", not writable" : (access & MEM_X) ? ", not executable" : ", not readable" : "");
}

uint8_t *memory_at(Memory *m, uint64_t addr, uint64_t bytes, unsigned access, const char *who) {
    uint8_t *p = memory_try(m, addr, bytes, access);
    if (!p) refuse(m, addr, bytes, access, who);
    return p;
}

void memory_count_dma(Memory *m, uint64_t addr, uint64_t bytes, int into_memory) {
    Region *r = find(m, addr);
    if (!r) return;
    if (into_memory) r->bytes_out += bytes;
    else r->bytes_in += bytes;
}

void memory_zero_traffic(Memory *m) {
    for (int i = 0; i < m->count; i++) m->region[i].bytes_in = m->region[i].bytes_out = 0;
}

// --- order

void memory_watch(Memory *m) { m->watching = 1; }
int memory_unfenced(const Memory *m) { return m->unfenced; }

int memory_region_unfenced(const Memory *m, const Region *r) { return m->unfenced && r->unfenced_high > r->unfenced_low; }

void memory_stored(Memory *m, uint64_t addr, uint64_t bytes) {
    Region *r = m->watching ? find(m, addr) : NULL;
    if (!r || !bytes) return;
    if (!r->unfenced) r->unfenced = calloc(1, r->bytes / 8 + 1);
    if (!r->unfenced) fault_raise("host_error", "out of host memory for %" PRIu64 " bytes", r->bytes / 8 + 1);
    uint64_t low = addr - r->base, high = low + bytes;
    if (r->unfenced_high <= r->unfenced_low) m->unfenced++, r->unfenced_low = low, r->unfenced_high = high;
    if (low < r->unfenced_low) r->unfenced_low = low;
    if (high > r->unfenced_high) r->unfenced_high = high;
    for (uint64_t at = low; at < high; at++) r->unfenced[at / 8] |= (uint8_t)(1u << at % 8);
}

void memory_ordered(Memory *m, uint64_t addr, uint64_t bytes, const char *who) {
    const Region *r = m->unfenced ? find(m, addr) : NULL;
    if (!r || !memory_region_unfenced(m, r)) return;
    uint64_t low = addr - r->base, high = low + bytes < r->unfenced_high ? low + bytes : r->unfenced_high;
    for (uint64_t at = low > r->unfenced_low ? low : r->unfenced_low; at < high; at++)
        if (r->unfenced[at / 8] & 1u << at % 8)
            fault_raise("missing_fence", "%s of %" PRIu64 " bytes at 0x%" PRIx64 ", in %s: an mvout wrote there and nothing has waited for it; fence() first",
                        who, bytes, addr, r->name);
}

void memory_fence(Memory *m) {
    for (int i = 0; m->unfenced && i < m->count; i++) {
        Region *r = &m->region[i];
        if (r->unfenced_high <= r->unfenced_low) continue;
        memset(r->unfenced + r->unfenced_low / 8, 0, r->unfenced_high / 8 - r->unfenced_low / 8 + 1);
        r->unfenced_low = r->unfenced_high = 0;
        m->unfenced--;
    }
}

int memory_count(const Memory *m) { return m->count; }
Region *memory_get(Memory *m, int index) { return &m->region[index]; }
