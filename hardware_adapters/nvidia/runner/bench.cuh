// Calls of a kernel: what it is given, what is looked at when it is done, and the clock between.
#pragma once

#include <algorithm>
#include <chrono>

#include "memory.cuh"
#include "report.h"

using Launch = int (*)(void **, const int64_t *, cudaStream_t);

constexpr long long SPIN_US = 50;  // in which the host enqueues a call, before the clock starts

inline double now_ns() {
    using namespace std::chrono;
    return duration<double, std::nano>(steady_clock::now().time_since_epoch()).count();
}

inline int attribute(cudaDeviceAttr wanted) {
    int value = 0;
    if (cudaDeviceGetAttribute(&value, wanted, 0) == cudaSuccess) return value;
    cudaGetLastError();
    return 0;
}

inline std::vector<unsigned char> content(const std::string &path, size_t bytes) {
    std::vector<unsigned char> data(bytes);
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char *>(data.data()), std::streamsize(bytes))) {
        std::fprintf(stderr, "runner: %s has not %zu bytes\n", path.c_str(), bytes);
        std::exit(2);
    }
    return data;
}

class Bench {
  public:
    explicit Bench(const Job &given)
        : job(given), rooms(given.tensors.size()), inputs(given.tensors.size()), pristine(given.cases.size()) {
        must(cudaStreamCreate(&stream), "making a stream");
        for (cudaEvent_t &event : events) must(cudaEventCreate(&event), "making an event");
        must(cudaMalloc(&counter, sizeof *counter), "allocating device memory");
        for (size_t i = 0; i < rooms.size(); i++) {
            size_t most = 0;
            for (const Case &one : job.cases) most = std::max(most, job.bytes(one, i));
            rooms[i].open(most, job.mode == "check");
        }
        scratch.open(job.scratch_bytes, job.mode == "check");
        must(cudaMalloc(&flush, std::max<size_t>(job.flush_bytes, 4)), "allocating device memory");
        must(cudaMemset(flush, 0, std::max<size_t>(job.flush_bytes, 4)), "clearing device memory");
        for (const Tensor &tensor : job.tensors) gathered_bytes += tensor.output ? job.samples * tensor.element_bytes : 0;
        must(cudaMalloc(&gathered, std::max<size_t>(gathered_bytes, 4)), "allocating device memory");
        must(cudaMalloc(&picked, std::max<size_t>(job.samples, 1) * sizeof *picked), "allocating device memory");
        if (job.mode == "time") load_picks();
        for (size_t which = 0; which < pristine.size(); which++) load(which);
        samples = std::fopen("samples", "wbe");
        for (const Case &one : job.cases) results.push_back(std::fopen(one.result.c_str(), "wbe"));
    }

    // Everything that the kernel may see or change is made anew. The inputs are those of a case; or, of several cases of
    // one shape, each element that of one of them, drawn by `number`: such inputs were never seen before.
    void prepare(const std::vector<size_t> &cases, uint64_t number) {
        const Case &shape = job.cases[cases[0]];
        for (size_t i = 0, input = 0; i < rooms.size(); i++) {
            rooms[i].place(job.bytes(shape, i), draw(job.seed, number * 64 + i));
            if (job.tensors[i].output) {
                must(cudaMemset(rooms[i].at(), POISON, rooms[i].bytes), "poisoning an output");
                continue;
            }
            Mix &mix = inputs[i] = Mix();
            mix.elements = shape.elements[i], mix.element_bytes = job.tensors[i].element_bytes;
            mix.seed = draw(job.seed ^ MIXING, number * 64 + i);
            for (size_t which : cases) mix.sources[mix.count++] = pristine[which][input];
            input++;
            runner_mix<<<256, 256>>>(mix, rooms[i].at());
            must(cudaGetLastError(), "filling an input");
        }
        scratch.place(job.scratch_bytes, draw(job.seed, number * 64 + 63));
        must(cudaMemset(scratch.at(), POISON, scratch.bytes), "poisoning the scratch area");
        arguments.clear();
        for (const Room &room : rooms) arguments.push_back(room.at());
        arguments.push_back(scratch.at());
        dims = shape.dims;  // a kernel that changes them changes its copy
        must(cudaDeviceSynchronize(), "preparing a call");
    }

    void make_cold() {
        cudaCtxResetPersistingL2Cache();
        cudaGetLastError();  // a device without such lines says so, which is no kernel's error
        if (job.flush_bytes) runner_flush<<<256, 256>>>(flush, job.flush_bytes / sizeof(float), flush);
        must(cudaDeviceSynchronize(), "emptying the cache");
    }

    void call(Launch launch) {
        int status = launch(arguments.data(), dims.data(), stream);
        if (status == 0) return;
        finish();  // what the device itself says is believed before what launch() says
        fault("launch_failed", std::string("launch() returned ") + std::to_string(status) + ", " +
                                   cudaGetErrorString(cudaError_t(status)));
    }

    void finish() {
        cudaError_t error = cudaGetLastError();
        if (error == cudaSuccess) error = cudaDeviceSynchronize();
        if (error != cudaSuccess) fault(cudaGetErrorName(error), cudaGetErrorString(error));
    }

    void look_around() {
        for (size_t i = 0; i < rooms.size(); i++) {
            const std::string &name = job.tensors[i].name;
            if (size_t broken = rooms[i].broken(counter))
                fault("out_of_bounds", std::to_string(broken) + " bytes beside " + name + " were written");
            if (job.tensors[i].output) continue;
            must(cudaMemset(counter, 0, sizeof *counter), "counting");
            runner_count_differences<<<256, 256>>>(inputs[i], rooms[i].at(), counter);
            unsigned long long found = 0;
            must(cudaMemcpy(&found, counter, sizeof found, cudaMemcpyDeviceToHost), "looking at an input");
            if (found) fault("input_written", std::to_string(found) + " bytes of the input " + name + " were changed");
        }
        if (size_t broken = scratch.broken(counter))
            fault("out_of_bounds", std::to_string(broken) + " bytes beside the scratch area were written");
    }

    void write_outputs(size_t which) {
        for (size_t i = 0; i < rooms.size(); i++) {
            if (!job.tensors[i].output) continue;
            std::vector<unsigned char> values(rooms[i].bytes);
            must(cudaMemcpy(values.data(), rooms[i].at(), values.size(), cudaMemcpyDeviceToHost), "reading an output");
            write(results[which], values);
        }
    }

    // The elements that the parent picked for this trial. The kernel could not know them before.
    void write_samples(size_t trial) {
        unsigned char *to = gathered;
        const int64_t *wanted = &picks[trial * outputs() * job.samples];
        for (size_t i = 0; i < rooms.size(); i++) {
            const Tensor &tensor = job.tensors[i];
            if (!tensor.output) continue;
            must(cudaMemcpy(picked, wanted, job.samples * sizeof *picked, cudaMemcpyHostToDevice), "picking elements");
            runner_gather<<<(job.samples + 127) / 128, 128>>>(rooms[i].at(), picked, tensor.element_bytes, job.samples, to);
            to += job.samples * tensor.element_bytes, wanted += job.samples;
        }
        std::vector<unsigned char> values(gathered_bytes);
        must(cudaMemcpy(values.data(), gathered, gathered_bytes, cudaMemcpyDeviceToHost), "reading an output");
        write(samples, values);
    }

    struct Times {
        double stream_ns;  // the work of the stream, and of all that are not non-blocking
        double late_ns;    // that the device was busy after it, by the host's clock
        double wall_ns;    // of the call, by the host's clock
    };

    Times timed(Launch launch) {
        double began = now_ns();
        // All on the default stream, which every stream that a kernel can name waits for, and which waits for them: a
        // launch without a stream, or on the thread's own one by its number, begins after the clock and is timed as well.
        // The device is busy until launch() has enqueued its work: what the host takes for that is not the kernel's time.
        runner_spin<<<1, 1>>>(spin);
        must(cudaEventRecord(events[0], nullptr), "starting the clock");
        if (launch) call(launch);
        cudaEventRecord(events[1], nullptr);
        cudaEventSynchronize(events[1]);  // an error of the kernel shows below
        double stopped = now_ns();
        finish();
        double idle = now_ns();
        float on_stream = 0;
        must(cudaEventElapsedTime(&on_stream, events[0], events[1]), "reading the clock");
        return {on_stream * 1e6, idle - stopped, idle - began};
    }

  private:
    const Job &job;
    std::vector<Room> rooms;
    std::vector<Mix> inputs;  // of the call that was prepared last; nothing for outputs
    Room scratch;
    std::vector<std::vector<unsigned char *>> pristine;
    std::vector<void *> arguments;
    std::vector<int64_t> dims;
    std::vector<FILE *> results;
    FILE *samples = nullptr;
    cudaStream_t stream;
    cudaEvent_t events[2];
    unsigned long long *counter;
    float *flush;
    const long long spin = attribute(cudaDevAttrClockRate) / 1000 * SPIN_US;  // cycles
    unsigned char *gathered;
    size_t gathered_bytes = 0;
    int64_t *picked;
    std::vector<int64_t> picks;  // of each trial, of each output

    size_t outputs() const {
        return std::count_if(job.tensors.begin(), job.tensors.end(), [](const Tensor &tensor) { return tensor.output; });
    }

    void load_picks() {
        picks.resize(size_t(job.trials) * job.rounds * outputs() * job.samples);
        std::vector<unsigned char> data = content("picks", picks.size() * sizeof picks[0]);
        std::memcpy(picks.data(), data.data(), data.size());
    }

    void load(size_t which) {
        size_t input = 0;
        for (size_t i = 0; i < rooms.size(); i++) {
            if (job.tensors[i].output) continue;
            size_t bytes = job.bytes(job.cases[which], i);
            std::vector<unsigned char> values = content(job.cases[which].inputs.at(input++), bytes);
            unsigned char *kept = nullptr;
            must(cudaMalloc(&kept, std::max<size_t>(bytes, 1)), "allocating device memory");
            must(cudaMemcpy(kept, values.data(), bytes, cudaMemcpyHostToDevice), "copying an input");
            pristine[which].push_back(kept);
        }
    }

    static void write(FILE *file, const std::vector<unsigned char> &values) {
        if (file == nullptr || std::fwrite(values.data(), 1, values.size(), file) != values.size() || std::fflush(file)) {
            std::perror("runner: writing results");
            _exit(2);
        }
    }
};
