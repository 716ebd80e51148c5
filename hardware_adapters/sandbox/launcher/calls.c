/* The filter of system calls. It denies what no compiler, interpreter or kernel needs, and what leads out. */
#include "launcher.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif
#define X32 0x40000000
#define NEW_SPACES \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

#define LOW(argument) (offsetof(struct seccomp_data, args) + 8 * (argument)) /* both machines are little endian */
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define ANSWER(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define NUMBER LOAD(offsetof(struct seccomp_data, nr))

enum { MAX_RULES = 200 };
static struct sock_filter rules[MAX_RULES];
static unsigned short used;

static void rule(struct sock_filter one) {
    if (used == MAX_RULES) fail("filter", "too long");
    rules[used++] = one;
}

static void deny(long call, int error) {
    rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1));
    rule((struct sock_filter)ANSWER(error));
}

static const long leading_out[] = {
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_swapon, SYS_swapoff, SYS_reboot,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_acct, SYS_quotactl, SYS_syslog,
    SYS_add_key, SYS_request_key, SYS_keyctl, SYS_bpf, SYS_userfaultfd, SYS_open_by_handle_at, SYS_settimeofday,
    SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname, SYS_personality,
    SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_fspick, SYS_mount_setattr, SYS_vhangup,
};
static const long looking_into_others[] = {
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kcmp, SYS_perf_event_open,
    SYS_pidfd_open, SYS_process_madvise,
};
/* A library that finds these missing does without. */
static const long done_without[] = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_clone3};

static void make_rules(const struct plan *plan) {
    used = 0;
    rule((struct sock_filter)LOAD(offsetof(struct seccomp_data, arch)));
    rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    rule((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    rule((struct sock_filter)NUMBER);
#if defined(__x86_64__)
    rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1));
    rule((struct sock_filter)ANSWER(ENOSYS));
#endif
    for (size_t i = 0; i < sizeof leading_out / sizeof *leading_out; i++) deny(leading_out[i], EPERM);
    if (!plan->debugging)
        for (size_t i = 0; i < sizeof looking_into_others / sizeof *looking_into_others; i++)
            deny(looking_into_others[i], EPERM);
    for (size_t i = 0; i < sizeof done_without / sizeof *done_without; i++) deny(done_without[i], ENOSYS);
    if (plan->no_processes) {
#ifdef SYS_fork
        deny(SYS_fork, EAGAIN);
        deny(SYS_vfork, EAGAIN);
#endif
    }
    /* clone: no name spaces; threads only, where that is wished. */
    rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, plan->no_processes ? 6 : 4));
    rule((struct sock_filter)LOAD(LOW(0)));
    rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_SPACES, 0, 1));
    rule((struct sock_filter)ANSWER(EPERM));
    if (plan->no_processes) {
        rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
        rule((struct sock_filter)ANSWER(EAGAIN));
    }
    rule((struct sock_filter)NUMBER);
    if (plan->no_network) {
        rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4));
        rule((struct sock_filter)LOAD(LOW(0)));
        rule((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0));
        rule((struct sock_filter)ANSWER(EACCES));
        rule((struct sock_filter)NUMBER);
    }
    rule((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

void filter_calls(const struct plan *plan) {
    make_rules(plan);
    struct sock_fprog program = {.len = used, .filter = rules};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("filter", "of system calls");
}

int can_filter(void) {
    if (!ARCHITECTURE) return ENOSYS;
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) {
        struct plan none = {0};
        make_rules(&none);
        struct sock_fprog program = {.len = used, .filter = rules};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(errno);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(errno);
        _exit(syscall(SYS_keyctl, 0, 0, 0, 0) == -1 && errno == EPERM ? 0 : EINVAL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
}
