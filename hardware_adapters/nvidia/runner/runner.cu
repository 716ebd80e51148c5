// Runs a CUDA kernel on the device of this machine: owns the buffers and the clock, and says what happened.
//
//     runner --device              properties of device 0
//     runner JOB                   see job.h
//
// What must be right about the outputs is not known here: they are written to files, and elements of them after every
// timed call, for the parent to judge.
#include <cuda_profiler_api.h>
#include <dirent.h>
#include <dlfcn.h>

#include "bench.cuh"

[[noreturn]] void failed(const char *stage, cudaError_t error) {
    tell("{\"type\": \"failure\", \"stage\": %s, \"error\": \"%s\", \"message\": %s}", quoted(stage).c_str(),
         cudaGetErrorName(error), quoted(cudaGetErrorString(error)).c_str());
    _exit(3);
}

static int threads() {
    int count = 0;
    if (DIR *folder = opendir("/proc/self/task")) {
        while (dirent *entry = readdir(folder)) count += entry->d_name[0] != '.';
        closedir(folder);
    }
    return count;
}

static void tell_device() {
    cudaDeviceProp device;
    must(cudaGetDeviceProperties(&device, 0), "looking for a device");
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    tell("{\"type\": \"device\", \"name\": %s, \"major\": %d, \"minor\": %d, \"multiprocessors\": %d, \"clock_khz\": %d, "
         "\"memory_khz\": %d, \"memory_bits\": %d, \"memory_bytes\": %zu, \"l2_bytes\": %d, \"shared_per_block\": %zu, "
         "\"shared_per_multiprocessor\": %zu, \"registers_per_multiprocessor\": %d, \"threads_per_multiprocessor\": %d, "
         "\"blocks_per_multiprocessor\": %d, \"ecc\": %d, \"driver\": %d, \"runtime\": %d}",
         quoted(device.name).c_str(), device.major, device.minor, device.multiProcessorCount,
         attribute(cudaDevAttrClockRate), attribute(cudaDevAttrMemoryClockRate), device.memoryBusWidth,
         device.totalGlobalMem, device.l2CacheSize, device.sharedMemPerBlockOptin, device.sharedMemPerMultiprocessor,
         device.regsPerMultiprocessor, device.maxThreadsPerMultiProcessor, device.maxBlocksPerMultiProcessor,
         device.ECCEnabled, driver, runtime);
}

static Launch load_program(const std::string &path) {
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) fault("not_loaded", dlerror());
    auto launch = reinterpret_cast<Launch>(dlsym(handle, "launch"));
    if (launch == nullptr) fault("no_entry", "there is no extern \"C\" function named launch");
    return launch;
}

static void run_trials(const Job &job, Bench &bench, const std::vector<Launch> &launches) {
    const std::vector<size_t> timed = job.timed();
    for (int i = 0; i < 20; i++) bench.timed(nullptr);
    for (int i = 0; i < 20; i++) {
        Bench::Times took = bench.timed(nullptr);
        tell("{\"type\": \"empty\", \"stream_ns\": %.0f, \"late_ns\": %.0f, \"wall_ns\": %.0f}", took.stream_ns,
             took.late_ns, took.wall_ns);
    }
    uint64_t number = 1000;
    size_t looked = 0;
    for (int round = 0; round < job.rounds; round++) {
        for (int trial = -job.warmups; trial < job.trials; trial++) {
            for (size_t turn = 0; turn < launches.size(); turn++, number++) {
                size_t program = (turn + size_t(round)) % launches.size();
                bench.prepare(timed, number);
                bench.make_cold();
                Bench::Times took = bench.timed(launches[program]);
                if (trial < 0) continue;
                bench.look_around();
                if (program == 0) bench.write_samples(looked++);
                tell("{\"type\": \"trial\", \"program\": %zu, \"round\": %d, \"number\": %llu, \"stream_ns\": %.0f, "
                     "\"late_ns\": %.0f, \"wall_ns\": %.0f}",
                     program, round, (unsigned long long)number, took.stream_ns, took.late_ns, took.wall_ns);
            }
        }
    }
}

// One call of the last case, between the marks that a profiler waits for.
static void run_profiled(const Job &job, Bench &bench, Launch launch) {
    size_t which = job.cases.size() - 1;
    for (int i = 0; i <= job.warmups; i++) {
        bench.prepare({which}, 100 + i);
        if (i == job.warmups) must(cudaProfilerStart(), "starting the profiler");
        bench.call(launch);
        bench.finish();
    }
    must(cudaProfilerStop(), "stopping the profiler");
}

int main(int count, char **arguments) {
    open_channel();
    if (count != 2) {
        std::fprintf(stderr, "usage: runner --device | runner JOB\n");
        return 2;
    }
    if (std::string(arguments[1]) == "--device") {
        tell_device();
        return 0;
    }
    Job job = read_job(arguments[1]);
    tell_device();
    Bench bench(job);
    bench.prepare({0}, 0);  // with the first launch a driver or a profiler may start threads of its own
    int before = threads();
    std::vector<Launch> launches;
    for (const std::string &path : job.programs) launches.push_back(load_program(path));
    for (size_t which = 0; which < job.cases.size(); which++) {
        bench.prepare({which}, which);
        bench.call(launches[0]);
        bench.finish();
        bench.look_around();
        bench.write_outputs(which);
        tell("{\"type\": \"checked\", \"case\": %zu}", which);
    }
    if (job.mode == "time") run_trials(job, bench, launches);
    if (job.mode == "profile") run_profiled(job, bench, launches[0]);
    if (int more = threads() - before; more > 0 && job.mode == "time")
        fault("threads", std::to_string(more) + " threads were started by the kernel's host code");
    tell("{\"type\": \"end\"}");
    if (job.mode != "time") cudaDeviceReset();  // a tool that watches hands in what it found
    _exit(0);  // destructors of the kernel's program do not run
}
