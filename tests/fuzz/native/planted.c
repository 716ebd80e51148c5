// Targets that break on purpose.
#include "target.h"

static volatile int sink;

void planted_overrun(const uint8_t *data, size_t size) { sink = data[size]; }

void planted_overflow(const uint8_t *data, size_t size) {
    (void)data;
    sink = INT32_MAX;
    sink = sink + (int)size;
}

void planted_hang(const uint8_t *data, size_t size) {
    (void)data;
    for (sink = (int)size; sink;) sink = 1;
}
