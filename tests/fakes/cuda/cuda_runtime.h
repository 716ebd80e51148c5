// A device made of threads, for testing the runner where there is no GPU: memory is the host's, each stream a thread
// that works off what was enqueued, a kernel the loop over its threads. No barriers, no shared memory. The default
// stream waits for all but non-blocking ones, and they for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

#define __host__
#define __device__
#define __global__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
extern thread_local dim3 blockIdx, threadIdx, blockDim, gridDim;

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorNoDevice = 100, cudaErrorIllegalAddress = 700 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaDeviceAttr { cudaDevAttrClockRate = 13, cudaDevAttrMemoryClockRate = 36 };
constexpr unsigned cudaStreamNonBlocking = 1;

struct FakeStream;
struct FakeEvent;
using cudaStream_t = FakeStream *;
using cudaEvent_t = FakeEvent *;

struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, memoryBusWidth, l2CacheSize, regsPerMultiprocessor;
    int maxThreadsPerMultiProcessor, maxBlocksPerMultiProcessor, ECCEnabled;
    size_t totalGlobalMem, sharedMemPerBlockOptin, sharedMemPerMultiprocessor;
};

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *, int);
cudaError_t cudaDeviceGetAttribute(int *, cudaDeviceAttr, int);
cudaError_t cudaDriverGetVersion(int *);
cudaError_t cudaRuntimeGetVersion(int *);
cudaError_t fake_malloc(void **, size_t);
template <class T> cudaError_t cudaMalloc(T **to, size_t bytes) { return fake_malloc(reinterpret_cast<void **>(to), bytes); }
cudaError_t cudaFree(void *);
cudaError_t cudaMemset(void *, int, size_t);
cudaError_t cudaMemcpy(void *, const void *, size_t, cudaMemcpyKind);
cudaError_t cudaStreamCreate(cudaStream_t *);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *, unsigned);
cudaError_t cudaEventCreate(cudaEvent_t *);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaEventElapsedTime(float *, cudaEvent_t, cudaEvent_t);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaDeviceReset();
cudaError_t cudaGetLastError();
cudaError_t cudaCtxResetPersistingL2Cache();
const char *cudaGetErrorName(cudaError_t);
const char *cudaGetErrorString(cudaError_t);

void fake_launch(dim3 grid, dim3 block, size_t shared, cudaStream_t stream, std::function<void()> body);
inline void fake_launch(dim3 grid, dim3 block, std::function<void()> body) { fake_launch(grid, block, 0, nullptr, body); }
void fake_fault(cudaError_t);

inline long long clock64() {  // at the clock rate that the device has
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count() * 252 / 100;
}
template <class T> T atomicAdd(T *to, T value) { return __atomic_fetch_add(to, value, __ATOMIC_RELAXED); }
