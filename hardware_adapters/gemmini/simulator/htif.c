// The host interface of bare-metal RISC-V programs: a `tohost` word by which they print and exit.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rv64.h"

enum { SYSCALL_WRITE = 64, SYSCALL_EXIT = 93, MAX_WRITE = 1 << 20 };
static const uint64_t MAX_OUTPUT_BYTES = 16u << 20; // a program that prints for ever is cut off
static uint64_t printed;

static uint64_t get(Hart *h, uint64_t addr) {
    const uint8_t *p = memory_try(h->memory, addr, 8, MEM_R);
    uint64_t v = 0;
    for (int i = 0; p && i < 8; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void put(Hart *h, uint64_t addr, uint64_t v) {
    uint8_t *p = memory_try(h->memory, addr, 8, MEM_W);
    for (int i = 0; p && i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static void print(const uint8_t *bytes, uint64_t n) {
    if (printed + n > MAX_OUTPUT_BYTES) fault_raise("limit_exceeded", "the program printed more than %" PRIu64 " bytes", MAX_OUTPUT_BYTES);
    printed += n;
    fwrite(bytes, 1, n, stdout);
}

static void finish(Hart *h, uint64_t code) {
    h->exited = 1;
    h->exit_code = (int64_t)code;
}

// A proxied system call: eight words at `at`, the answer in the first.
static void system_call(Hart *h, uint64_t at) {
    uint64_t number = get(h, at), answer = (uint64_t)-38; // ENOSYS
    if (number == SYSCALL_WRITE) {
        uint64_t n = get(h, at + 24);
        const uint8_t *bytes = n <= MAX_WRITE ? memory_try(h->memory, get(h, at + 16), n, MEM_R) : NULL;
        if (bytes) print(bytes, n);
        answer = bytes ? n : (uint64_t)-14; // EFAULT
    } else if (number == SYSCALL_EXIT) {
        finish(h, get(h, at + 8));
        return;
    }
    put(h, at, answer);
}

void htif_poll(Hart *h) {
    uint64_t v = get(h, h->tohost);
    if (!v) return;
    unsigned device = (unsigned)(v >> 56), command = (unsigned)(v >> 48 & 0xff);
    uint64_t payload = v & 0xffffffffffffull, answer = 0;
    put(h, h->tohost, 0);
    if (device == 0 && command == 0) {
        if (payload & 1) {
            finish(h, payload >> 1);
            return;
        }
        system_call(h, payload);
        answer = 1;
    } else if (device == 1 && command == 1) {
        uint8_t c = (uint8_t)payload;
        print(&c, 1);
        answer = (v & 0xffff000000000000ull) | c;
    }
    if (h->fromhost) put(h, h->fromhost, answer);
}
