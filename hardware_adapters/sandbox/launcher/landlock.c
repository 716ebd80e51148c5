/* Landlock: access to files by rules that need no privilege and no name space. The fallback where there are none. */
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the kernel's interface, versions 1 to 6; the numbers of the calls are the same on every machine. */
#define CREATE 444
#define ADD 445
#define RESTRICT 446
#define EXECUTE (1ull << 0)
#define WRITE_FILE (1ull << 1)
#define READ_FILE (1ull << 2)
#define READ_FOLDER (1ull << 3)
#define REFER (1ull << 13)
#define TRUNCATE (1ull << 14)
#define DEVICE_CONTROL (1ull << 15)
#define ALL_OF_VERSION_1 ((1ull << 13) - 1)
#define TCP 3ull    /* bind and connect: version 4 */
#define SCOPES 3ull /* abstract sockets and signals to others: version 6 */

struct attributes {
    uint64_t files, network, scopes;
};
struct beneath {
    uint64_t access;
    int32_t folder;
} __attribute__((packed));

int landlock_version(void) {
    long version = syscall(CREATE, NULL, 0, 1);
    return version < 0 ? -errno : (int)version;
}

static uint64_t handled(int version) {
    uint64_t access = ALL_OF_VERSION_1;
    if (version >= 2) access |= REFER;
    if (version >= 3) access |= TRUNCATE;
    if (version >= 5) access |= DEVICE_CONTROL;
    return access;
}

static void allow(int rules, const char *path, uint64_t access) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return; /* what this machine does not have is not missed */
    struct stat found;
    if (fstat(fd, &found) == 0 && !S_ISDIR(found.st_mode))
        access &= EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL;
    struct beneath rule = {access, fd};
    if (syscall(ADD, rules, 1, &rule, 0)) fail("landlock", path);
    close(fd);
}

/* /proc stays readable: a program behind these rules can look at none but itself and its children. */
void restrict_files(const struct plan *plan) {
    int version = landlock_version();
    if (version < 1) fail("landlock", "is not there");
    uint64_t all = handled(version), look = EXECUTE | READ_FILE | READ_FOLDER;
    struct attributes wanted = {all, version >= 4 && plan->no_network ? TCP : 0, version >= 6 ? SCOPES : 0};
    size_t size = version >= 6 ? sizeof wanted : version >= 4 ? 16 : 8;
    int rules = (int)syscall(CREATE, &wanted, size, 0);
    if (rules < 0) fail("landlock", "rules");
    for (int i = 0; i < plan->count; i++) {
        const struct place *place = &plan->places[i];
        if (place->kind == READ) allow(rules, place->path, look);
        else if (place->kind == WRITE) allow(rules, place->path, all);
        else if (place->kind == DEVICE) allow(rules, place->path, (look | WRITE_FILE | DEVICE_CONTROL) & all);
    }
    allow(rules, "/proc", look);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("privileges", "no_new_privs");
    if (syscall(RESTRICT, rules, 0)) fail("landlock", "rules");
    close(rules);
}
