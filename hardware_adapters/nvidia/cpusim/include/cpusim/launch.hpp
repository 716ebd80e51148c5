// Launches, shared memory, barriers, and the part of the runtime API that only enqueues.
#pragma once

extern "C" {
void cpusim_launch(const char *kernel, int line, const uint3 *grid, const uint3 *block, uint64_t shared, const void *stream,
                   void (*entry)(void *), const void *closure, uint64_t closure_bytes);
void *cpusim_shared(const void *key, uint64_t bytes, uint64_t align, const char *name, int line, const uint64_t *extents);
void *cpusim_dynamic(void);
int cpusim_barrier(int kind, int predicate, int line);
void cpusim_fence(void);
int cpusim_set_attribute(const char *kernel, int attribute, int value, int line);
int cpusim_memset(void *at, int value, uint64_t bytes, const void *stream, int line);
int cpusim_memcpy(void *to, const void *from, uint64_t bytes, const void *stream, int line);
[[noreturn]] void cpusim_fail(const char *kind, const char *message, int line);
}

typedef struct CUstream_st *cudaStream_t;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorInvalidConfiguration = 9, cudaErrorNotSupported = 801, cudaErrorUnknown = 999 };
typedef cudaError_t cudaError;
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout = 9 };
enum cudaSharedCarveout { cudaSharedmemCarveoutDefault = -1, cudaSharedmemCarveoutMaxShared = 100, cudaSharedmemCarveoutMaxL1 = 0 };
enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault };

// A wrong launch is a fault that ends the run, so whoever asks for an error afterwards finds none.
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaPeekAtLastError() { return cudaSuccess; }
inline const char *cudaGetErrorString(cudaError_t error) { return error == cudaSuccess ? "no error" : "an error"; }
inline cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream = nullptr, int line = __builtin_LINE()) {
    return (cudaError_t)cpusim_memset(at, value, bytes, stream, line);
}
inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream = nullptr,
                                   int line = __builtin_LINE()) {
    if (kind != cudaMemcpyDeviceToDevice && kind != cudaMemcpyDefault)
        cpusim_fail("unsupported", "cudaMemcpyAsync other than from device to device", line);
    return (cudaError_t)cpusim_memcpy(to, from, bytes, stream, line);
}
template <class T>
cudaError_t cudaMemcpyToSymbolAsync(T &symbol, const void *from, size_t bytes, size_t offset = 0, cudaMemcpyKind kind = cudaMemcpyHostToDevice,
                                    cudaStream_t stream = nullptr, int line = __builtin_LINE()) {
    if (kind != cudaMemcpyDeviceToDevice && kind != cudaMemcpyDefault)
        cpusim_fail("unsupported", "cudaMemcpyToSymbolAsync other than from device to device", line);
    if (offset > sizeof(T) || bytes > sizeof(T) - offset) cpusim_fail("out_of_bounds", "cudaMemcpyToSymbolAsync writes beyond the symbol", line);
    return (cudaError_t)cpusim_memcpy((char *)&symbol + offset, from, bytes, stream, line);
}

namespace cpusim {

struct Configuration {
    dim3 grid, block;
    uint64_t shared;
    const void *stream;
    Configuration(dim3 grid, dim3 block, uint64_t shared = 0, cudaStream_t stream = nullptr)
        : grid(grid), block(block), shared(shared), stream(stream) {}
};

template <class Kernel> struct Launcher {
    const char *name;
    int line;
    Configuration with;
    Kernel kernel;

    // The arguments are evaluated once, by the host; the kernel finds copies where parameters lie.
    template <class... Arguments> void operator()(Arguments... arguments) const {
        auto closure = [kernel = kernel, arguments...]() { kernel(arguments...); };
        static_assert(std::is_trivially_destructible<decltype(closure)>::value, "parameters of a kernel are plain data");
        uint3 grid = with.grid, block = with.block;
        cpusim_launch(name, line, &grid, &block, with.shared, with.stream,
                      [](void *kept) { (*static_cast<decltype(closure) *>(kept))(); }, &closure, sizeof closure);
    }
};
template <class Kernel> Launcher<Kernel> launch(const char *name, int line, Configuration with, Kernel kernel) { return {name, line, with, kernel}; }

// A marker per declaration, and per instance of a template around it.
template <class T> struct Extents {  // of an array's dimensions, 0 behind the last
    static constexpr uint64_t values[5] = {std::extent<T, 0>::value, std::extent<T, 1>::value, std::extent<T, 2>::value, std::extent<T, 3>::value, 0};
};
template <class T, class Member> inline T &shared(const char &marker, const char *name, int line) {
    return *static_cast<T *>(cpusim_shared(&marker, sizeof(T), alignof(T), name, line, Extents<Member>::values));
}

// The dynamic part, where it is declared outside of functions.
template <class T> struct Dynamic {
    operator T *() const { return static_cast<T *>(cpusim_dynamic()); }
    template <class U> explicit operator U *() const { return static_cast<U *>(cpusim_dynamic()); }
};

}  // namespace cpusim

inline void __syncthreads(int line = __builtin_LINE()) { cpusim_barrier(0, 0, line); }
inline int __syncthreads_count(int predicate, int line = __builtin_LINE()) { return cpusim_barrier(1, predicate, line); }
inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) { return cpusim_barrier(2, predicate, line); }
inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) { return cpusim_barrier(3, predicate, line); }
inline void __threadfence() { cpusim_fence(); }
inline void __threadfence_block() {}
inline void __threadfence_system() { cpusim_fence(); }
[[noreturn]] inline void __trap(int line = __builtin_LINE()) { cpusim_fail("trap", "__trap() was called", line); }
inline void __brkpt(int line = __builtin_LINE()) { cpusim_fail("trap", "__brkpt() was called", line); }
inline void __nanosleep(unsigned) {}
#ifndef __clang__
inline void __builtin_assume(bool) {}
#endif
#define assert(condition) ((condition) ? (void)0 : cpusim_fail("assertion", "assert(" #condition ") does not hold", __LINE__))

namespace cpusim {
inline cudaError_t set_attribute(const char *kernel, int line, cudaFuncAttribute attribute, int value) {
    return (cudaError_t)cpusim_set_attribute(kernel, attribute, value, line);
}
}  // namespace cpusim
