/* Name spaces: the program is process 2 of its own, and when process 1 of them ends, all others have ended. */
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int put_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t done = write(fd, text, strlen(text));
    close(fd);
    return done < 0 ? -1 : 0;
}

/* The user stays who he is, so that his files stay his; nobody else exists. */
static int enter(int flags) {
    unsigned user = (unsigned)geteuid(), group = (unsigned)getegid();
    char text[64];
    if (unshare(flags)) return -1;
    if (!(flags & CLONE_NEWUSER)) return 0;
    if (put_text("/proc/self/setgroups", "deny") && errno != ENOENT) return -1;
    snprintf(text, sizeof text, "%u %u 1", user, user);
    if (put_text("/proc/self/uid_map", text)) return -1;
    snprintf(text, sizeof text, "%u %u 1", group, group);
    return put_text("/proc/self/gid_map", text);
}

/* 127.0.0.1 within the program itself is no way out. */
static void raise_loopback(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0) return;
    (void)ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

static _Noreturn void first_process(const struct plan *plan, int told, int parent) {
    char word;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || read(parent, &word, 1) != 1) _exit(FAILED); /* it ended meanwhile */
    close(parent);
    if (plan->spaces & CLONE_NEWNET) raise_loopback();
    if (plan->spaces & CLONE_NEWNS) arrange_files(plan);
    if (plan->proc) {
        limit_tasks(plan);
        /* Whoever is root outside may write to the machine's settings there, whatever name space he is in. */
        unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
        if (mount(NULL, "/proc", NULL, flags, NULL)) fail("read-only", "/proc");
    }
    pid_t program = fork();
    if (program < 0) fail("process", "cannot be started");
    if (program == 0) become(plan);
    /* What the program leaves behind holds its output open; so do we, unless we let go of it. */
    for (int fd = 0; fd < 3; fd++) close(fd);
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, 0)) != program)
        if (ended < 0 && errno != EINTR) _exit(FAILED);
    ssize_t done = write(told, &status, sizeof status);
    _exit(done == sizeof status ? 0 : FAILED);
}

/* Ends as the program ended: with its status, or by its signal. */
static _Noreturn void end_as(int status) {
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

int run_in_spaces(const struct plan *plan) {
    int told[2], alive[2];
    if (pipe2(told, O_CLOEXEC) || pipe2(alive, O_CLOEXEC)) fail("pipe", "");
    if (enter(plan->spaces)) fail("name spaces", "");
    pid_t child = fork();
    if (child < 0) fail("process", "cannot be started");
    if (child == 0) {
        close(told[0]);
        close(alive[1]);
        first_process(plan, told[1], alive[0]);
    }
    close(told[1]);
    close(alive[0]);
    if (write(alive[1], "", 1) != 1) fail("process", "ended at once");
    int status = 0, said = 0;
    ssize_t got = read(told[0], &status, sizeof status);
    while (waitpid(child, &said, 0) < 0 && errno == EINTR) continue;
    if (got != sizeof status) end_as(said); /* it failed before there was a program, and has said why */
    end_as(status);
}

/* ------------------------------------------------------------ which of them there are */

static int in_child(int (*attempt)(int), int flags) {
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) _exit(attempt(flags));
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
}

static int entering(int flags) { return enter(flags) ? errno : 0; }

static int mounting(int flags) {
    if (enter(flags)) return errno;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return errno;
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k")) return errno;
    return 0;
}

static int mounting_proc(int flags) {
    if (enter(flags)) return errno;
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) _exit(errno);
        _exit(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ? errno : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
}

/* One line per layer: its name, and the number of the error that stands in its way, 0 for none. */
int probe(void) {
    static const struct {
        const char *name;
        int flag;
    } single[] = {{"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}};
    int user = in_child(entering, CLONE_NEWUSER), base = user ? 0 : CLONE_NEWUSER;
    dprintf(1, "user %d\n", user);
    dprintf(1, "mount %d\n", in_child(mounting, base | CLONE_NEWNS));
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        dprintf(1, "%s %d\n", single[i].name, in_child(entering, base | single[i].flag));
    dprintf(1, "proc %d\n", in_child(mounting_proc, base | CLONE_NEWNS | CLONE_NEWPID));
    dprintf(1, "filter %d\n", can_filter());
    int version = landlock_version();
    dprintf(1, "landlock %d\n", version < 0 ? -version : 0);
    return 0;
}
