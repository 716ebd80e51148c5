// Where the environment names them: FAKE_CUDA_NONE there is no device, FAKE_CUDA_NO_PERSISTING its L2 has no lines that
// persist, FAKE_CUDA_NOTES a file that receives what the profiler was told.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda_profiler_api.h"

thread_local dim3 blockIdx, threadIdx, blockDim, gridDim;

static double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct FakeStream {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<void()>> work;
    bool busy = false;
    const bool blocking;
    uint64_t enqueued = 0, done = 0;
    std::thread thread;

    explicit FakeStream(bool blocking) : blocking(blocking), thread([this] { serve(); }) {}
    void add(std::function<void()> what) {
        std::lock_guard<std::mutex> hold(lock);
        work.push_back(std::move(what));
        enqueued++;
        changed.notify_all();
    }
    void wait() {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait(hold, [this] { return work.empty() && !busy; });
    }

    uint64_t so_far() {
        std::lock_guard<std::mutex> hold(lock);
        return enqueued;
    }
    void reach(uint64_t count) {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait(hold, [=] { return done >= count; });
    }

  private:
    void serve() {
        std::unique_lock<std::mutex> hold(lock);
        for (;;) {
            changed.wait(hold, [this] { return !work.empty(); });
            auto what = std::move(work.front());
            work.pop_front();
            busy = true;
            hold.unlock();
            what();
            hold.lock();
            busy = false;
            done++;
            changed.notify_all();
        }
    }
};

struct FakeEvent {
    std::atomic<double> at{0};
};

static cudaError_t pending = cudaSuccess;
static std::vector<FakeStream *> &streams() {
    static auto *all = new std::vector<FakeStream *>{new FakeStream(true)};
    return *all;
}

static void enqueue(cudaStream_t stream, std::function<void()> what) {
    FakeStream *usual = streams()[0], *on = stream ? stream : usual;
    std::vector<std::pair<FakeStream *, uint64_t>> before;
    for (FakeStream *other : streams())
        if (other != on && (on == usual ? other->blocking : on->blocking && other == usual))
            before.emplace_back(other, other->so_far());
    on->add([=] {
        for (auto [other, count] : before) other->reach(count);
        what();
    });
}

void fake_fault(cudaError_t error) { pending = error; }

void fake_launch(dim3 grid, dim3 block, size_t, cudaStream_t stream, std::function<void()> body) {
    if (block.x * block.y * block.z > 1024) { pending = cudaErrorInvalidValue; return; }
    enqueue(stream, [=] {
        gridDim = grid, blockDim = block;
        for (unsigned z = 0; z < grid.z; z++) for (unsigned y = 0; y < grid.y; y++) for (unsigned x = 0; x < grid.x; x++)
            for (unsigned k = 0; k < block.z; k++) for (unsigned j = 0; j < block.y; j++) for (unsigned i = 0; i < block.x; i++) {
                blockIdx = dim3(x, y, z), threadIdx = dim3(i, j, k);
                body();
            }
    });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *to, int) {
    if (std::getenv("FAKE_CUDA_NONE")) return cudaErrorNoDevice;
    *to = {};
    std::strcpy(to->name, "Made of threads");
    to->major = 8, to->minor = 9, to->multiProcessorCount = 142, to->memoryBusWidth = 384;
    to->l2CacheSize = 1 << 20, to->totalGlobalMem = size_t(48) << 30;
    to->sharedMemPerBlockOptin = 101376, to->sharedMemPerMultiprocessor = 102400, to->regsPerMultiprocessor = 65536;
    to->maxThreadsPerMultiProcessor = 1536, to->maxBlocksPerMultiProcessor = 24, to->ECCEnabled = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *to, cudaDeviceAttr wanted, int) {
    *to = wanted == cudaDevAttrClockRate ? 2520000 : 9001000;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *to) { *to = 13000; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *to) { *to = 13000; return cudaSuccess; }
cudaError_t fake_malloc(void **to, size_t bytes) { *to = std::aligned_alloc(256, (bytes + 255) / 256 * 256); return cudaSuccess; }

cudaError_t cudaFree(void *what) { std::free(what); return cudaSuccess; }

// Work of the null stream, as the runtime's: after what was enqueued on it before.
cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    enqueue(nullptr, [=] { std::memset(to, value, bytes); });
    streams()[0]->wait();
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind) {
    enqueue(nullptr, [=] { std::memcpy(to, from, bytes); });
    streams()[0]->wait();
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *to, unsigned flags) {
    streams().push_back(*to = new FakeStream(!(flags & cudaStreamNonBlocking)));
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *to) { return cudaStreamCreateWithFlags(to, 0); }
cudaError_t cudaEventCreate(cudaEvent_t *to) { *to = new FakeEvent; return cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->at = 0;
    enqueue(stream, [=] { event->at = now_ms(); });
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    while (event->at == 0) std::this_thread::yield();
    return pending;
}

cudaError_t cudaEventElapsedTime(float *to, cudaEvent_t a, cudaEvent_t b) {
    *to = float(b->at - a->at);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    for (size_t i = 0; i < streams().size(); i++) streams()[i]->wait();
    cudaError_t error = pending;
    return error;
}

// A fault of a kernel stays; an error of a call is forgotten when it was asked for, as the runtime does it.
static cudaError_t of_a_call = cudaSuccess;
cudaError_t cudaGetLastError() {
    cudaError_t error = pending ? pending : of_a_call;
    of_a_call = cudaSuccess;
    return error;
}
cudaError_t cudaCtxResetPersistingL2Cache() { return std::getenv("FAKE_CUDA_NO_PERSISTING") ? of_a_call = cudaErrorInvalidValue : cudaSuccess; }
cudaError_t cudaDeviceReset() { return cudaDeviceSynchronize(); }
const char *cudaGetErrorName(cudaError_t error) {
    return error == cudaErrorNoDevice ? "cudaErrorNoDevice" : error == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress"
         : error ? "cudaErrorInvalidValue" : "cudaSuccess";
}
const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorNoDevice ? "no CUDA-capable device is detected"
         : error == cudaErrorIllegalAddress ? "an illegal memory access was encountered" : error ? "invalid argument" : "no error";
}

static cudaError_t note(const char *what) {
    if (const char *path = std::getenv("FAKE_CUDA_NOTES"))
        if (FILE *file = std::fopen(path, "a")) std::fprintf(file, "%s\n", what), std::fclose(file);
    return cudaSuccess;
}
cudaError_t cudaProfilerStart() { return note("start"); }
cudaError_t cudaProfilerStop() { return note("stop"); }
