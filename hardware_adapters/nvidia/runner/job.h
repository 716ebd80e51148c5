// What the runner is told: a text file of lines, each a word and its arguments. Written by cuda/job.py.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

struct Tensor {
    std::string name;
    bool output;
    size_t element_bytes;
};

// One shape with its data.
struct Case {
    std::string result;                // the file that receives the outputs, in order
    bool timed;
    std::vector<int64_t> dims;
    std::vector<size_t> elements;      // of each tensor
    std::vector<std::string> inputs;   // files
};

struct Job {
    std::string mode;                   // check, time or profile
    std::vector<std::string> programs;  // shared objects: the kernel, then perhaps the one it is timed beside
    std::vector<Tensor> tensors;        // in the order of the arguments
    std::vector<Case> cases;
    size_t scratch_bytes = 0;
    size_t flush_bytes = 0;
    int warmups = 0, trials = 0, rounds = 0;
    int samples = 0;                    // elements of each output that are looked at after each trial, see picks
    uint64_t seed = 0;

    size_t bytes(const Case &which, size_t tensor) const { return which.elements[tensor] * tensors[tensor].element_bytes; }
    std::vector<size_t> timed() const {
        std::vector<size_t> found;
        for (size_t which = 0; which < cases.size(); which++)
            if (cases[which].timed) found.push_back(which);
        return found;
    }
};

constexpr size_t MOST_SOURCES = 8;  // timed cases; they have one shape

inline Job read_job(const char *path) {
    Job job;
    std::ifstream file(path);
    std::string text;
    while (std::getline(file, text)) {
        std::istringstream line(text);
        std::string word, value;
        line >> word;
        if (word == "mode") line >> job.mode;
        else if (word == "program") { line >> value; job.programs.push_back(value); }
        else if (word == "tensor") {
            Tensor tensor;
            line >> tensor.name >> value >> tensor.element_bytes;
            tensor.output = value == "output";
            job.tensors.push_back(tensor);
        } else if (word == "case") {
            Case one;
            line >> one.result >> value;
            one.timed = value == "timed";
            job.cases.push_back(one);
        } else if (word == "dim") { int64_t n; line >> n; job.cases.at(job.cases.size() - 1).dims.push_back(n); }
        else if (word == "elements") { size_t n; line >> n; job.cases.at(job.cases.size() - 1).elements.push_back(n); }
        else if (word == "input") { line >> value; job.cases.at(job.cases.size() - 1).inputs.push_back(value); }
        else if (word == "scratch") line >> job.scratch_bytes;
        else if (word == "flush") line >> job.flush_bytes;
        else if (word == "warmups") line >> job.warmups;
        else if (word == "trials") line >> job.trials;
        else if (word == "rounds") line >> job.rounds;
        else if (word == "samples") line >> job.samples;
        else if (word == "seed") line >> job.seed;
        else { std::fprintf(stderr, "job: unknown word %s\n", word.c_str()); std::exit(2); }
        if (line.fail()) { std::fprintf(stderr, "job: bad line: %s\n", text.c_str()); std::exit(2); }
    }
    if (job.programs.empty() || job.cases.empty() || job.tensors.empty()) {
        std::fprintf(stderr, "job: %s lacks programs, cases or tensors\n", path);
        std::exit(2);
    }
    const std::vector<size_t> timed = job.timed();
    for (size_t which : timed) {
        if (timed.size() > MOST_SOURCES || job.cases[which].elements != job.cases[timed[0]].elements) {
            std::fprintf(stderr, "job: at most %zu cases are timed, all of one shape\n", MOST_SOURCES);
            std::exit(2);
        }
    }
    return job;
}

constexpr uint64_t MIXING = 0x5e7;  // apart from the draw of places

// SplitMix64: the parent draws the same numbers, to know what a timed call was given.
inline __host__ __device__ uint64_t draw(uint64_t seed, uint64_t number) {
    uint64_t z = seed + 0x9E3779B97F4A7C15ull * (number + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
