// The channel of results: one JSON object a line. It is opened before any code of the kernel is loaded, and standard
// output then leads elsewhere.
#pragma once

#include <cuda_runtime.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <string>

inline FILE *&channel() {
    static FILE *opened = nullptr;
    return opened;
}

inline void open_channel() {
    int copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
    channel() = copy < 0 ? nullptr : fdopen(copy, "w");
    if (channel() == nullptr || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        std::perror("runner: no channel for results");
        _exit(2);
    }
}

__attribute__((format(printf, 1, 2))) inline void tell(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    std::vfprintf(channel(), format, rest);
    va_end(rest);
    std::fputc('\n', channel());
    std::fflush(channel());
}

inline std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (unsigned char c : text) {
        if (c == '"' || c == '\\') out += '\\', out += char(c);
        else if (c < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(c));
            out += escape;
        } else out += char(c);
    }
    return out + "\"";
}

// The kernel's fault: nothing after it can be trusted, so the process ends. `kind` is one of cuda/job.py's.
[[noreturn]] inline void fault(const char *kind, const std::string &message) {
    tell("{\"type\": \"fault\", \"kind\": \"%s\", \"message\": %s}", kind, quoted(message).c_str());
    _exit(0);
}
