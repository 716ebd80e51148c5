// Device memory that a kernel works in: a fresh place for every call, with walls around each tensor.
#pragma once

#include <cuda_runtime.h>

#include "job.h"

constexpr size_t ALIGN = 256;
constexpr size_t WALL = 4096;        // bytes before and behind each tensor
constexpr size_t SHIFTS = 16;        // places that a tensor may have within its room
constexpr unsigned char BRICK = 0xA5;
constexpr unsigned char POISON = 0xFF;  // as float32 and float16: not a number

[[noreturn]] void failed(const char *stage, cudaError_t error);

inline void must(cudaError_t error, const char *stage) {
    if (error != cudaSuccess) failed(stage, error);
}

// Names begin with runner_: a profile leaves them out.
static __global__ void runner_count_other_bytes(const unsigned char *at, size_t count, unsigned char wanted,
                                                unsigned long long *found) {
    size_t step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
        if (at[i] != wanted) atomicAdd(found, 1ull);
}

// What an input is made of: every element is that of one of the sources, drawn by its number.
struct Mix {
    const unsigned char *sources[MOST_SOURCES];
    int count = 0;
    size_t elements = 0, element_bytes = 0;
    uint64_t seed = 0;

    __device__ const unsigned char *element(size_t i) const {
        return sources[count > 1 ? draw(seed, i) % count : 0] + i * element_bytes;
    }
};

static __global__ void runner_mix(Mix mix, unsigned char *to) {
    size_t step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < mix.elements; i += step) {
        const unsigned char *from = mix.element(i);
        for (size_t b = 0; b < mix.element_bytes; b++) to[i * mix.element_bytes + b] = from[b];
    }
}

static __global__ void runner_count_differences(Mix mix, const unsigned char *at, unsigned long long *found) {
    size_t step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < mix.elements; i += step) {
        const unsigned char *given = mix.element(i);
        for (size_t b = 0; b < mix.element_bytes; b++)
            if (at[i * mix.element_bytes + b] != given[b]) atomicAdd(found, 1ull);
    }
}

static __global__ void runner_gather(const unsigned char *from, const int64_t *picks, size_t element_bytes, int count,
                                     unsigned char *to) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    for (size_t b = 0; b < element_bytes; b++) to[i * element_bytes + b] = from[picks[i] * element_bytes + b];
}

// Reads, so that no line is left in the cache that has to be written back while a kernel is timed.
static __global__ void runner_flush(const float *at, size_t count, float *never) {
    size_t step = size_t(gridDim.x) * blockDim.x;
    float sum = 0;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) sum += at[i];
    if (sum != 0) *never = sum;  // it is zero, which the compiler does not know
}

static __global__ void runner_spin(long long cycles) {
    for (long long began = clock64(); clock64() - began < cycles;) {
    }
}

// One tensor: the room it is placed in, and where it is now.
struct Room {
    unsigned char *base = nullptr;
    size_t bytes = 0, room = 0, shift = 0;

    bool tight = false;  // memory of its very size, for a tool that looks at every access: no walls

    void open(size_t most, bool exact) {
        tight = exact;
        if (tight) return;
        room = 2 * WALL + (most + ALIGN - 1) / ALIGN * ALIGN + SHIFTS * ALIGN;
        must(cudaMalloc(&base, room), "allocating device memory");
    }
    unsigned char *at() const { return tight ? base : base + WALL + shift * ALIGN; }
    void place(size_t wanted, uint64_t number) {
        bytes = wanted, shift = number % SHIFTS;
        if (tight) {
            must(cudaFree(base), "freeing device memory");
            must(cudaMalloc(&base, bytes), "allocating device memory");
            return;
        }
        must(cudaMemset(base, BRICK, room), "building walls");
    }
    size_t broken(unsigned long long *counter) const {
        if (tight) return 0;
        size_t before = at() - base, behind = room - before - bytes;
        must(cudaMemset(counter, 0, sizeof *counter), "counting");
        runner_count_other_bytes<<<64, 256>>>(base, before, BRICK, counter);
        runner_count_other_bytes<<<64, 256>>>(at() + bytes, behind, BRICK, counter);
        unsigned long long found = 0;
        must(cudaMemcpy(&found, counter, sizeof found, cudaMemcpyDeviceToHost), "looking at the walls");
        return found;
    }
};
