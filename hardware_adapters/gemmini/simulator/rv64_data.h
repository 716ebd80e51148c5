// Inline fast paths of data access, and the byte order of the simulated machine.
#ifndef GEMSIM_RV64_DATA_H
#define GEMSIM_RV64_DATA_H

#include <string.h>

#include "rv64.h"

static inline uint8_t *data_at(Hart *h, Window *windows, uint64_t pc, uint64_t addr, unsigned bytes, unsigned access) {
    const Window *w = &windows[addr / PAGE_BYTES % WINDOWS];
    uint64_t offset = addr - w->base;
    if (__builtin_expect(w->host && offset < w->bytes && offset <= w->bytes - bytes && !(addr & (bytes - 1)), 1)) return w->host + offset;
    return hart_data(h, pc, addr, bytes, access);
}

static inline uint64_t load_bytes(const uint8_t *p, unsigned bytes) { // little-endian whatever the host
    uint64_t v = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&v, p, bytes);
#else
    for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
#endif
    return v;
}

static inline void store_bytes(uint8_t *p, uint64_t v, unsigned bytes) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(p, &v, bytes);
#else
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> (8 * i));
#endif
}
static inline uint64_t sext32(uint64_t v) { return (uint64_t)(int64_t)(int32_t)v; }

#endif
