// Linked to every kernel: there is no C library in the emulated machine. Weak, so that a kernel may bring its own.
#include <stdint.h>

#include "string.h"

#define WEAK __attribute__((weak))

typedef uint64_t __attribute__((may_alias)) word;

static int words_fit(const void *left, const void *right) { return (((uintptr_t)left | (uintptr_t)right) & 7) == 0; }

WEAK void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (words_fit(t, f))
        for (; bytes >= 8; bytes -= 8, t += 8, f += 8) *(word *)t = *(const word *)f;
    while (bytes--) *t++ = *f++;
    return to;
}

WEAK void *memmove(void *to, const void *from, size_t bytes) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f || t >= f + bytes)
        for (; bytes; bytes--) *t++ = *f++;
    else
        while (bytes--) t[bytes] = f[bytes];
    return to;
}

WEAK void *memset(void *to, int byte, size_t bytes) {
    uint8_t *t = to;
    uint64_t pattern = 0x0101010101010101u * (uint8_t)byte;
    if (words_fit(t, t))
        for (; bytes >= 8; bytes -= 8, t += 8) *(word *)t = pattern;
    while (bytes--) *t++ = (uint8_t)byte;
    return to;
}

WEAK int memcmp(const void *left, const void *right, size_t bytes) {
    const uint8_t *l = left, *r = right;
    for (; bytes--; l++, r++)
        if (*l != *r) return *l - *r;
    return 0;
}
