/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <linux/securebits.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "policy/actor_guard.h"

static const cap_value_t kept[] = { CAP_DAC_OVERRIDE, CAP_SYS_NICE };

enum { KEPT_N = sizeof(kept) / sizeof(*kept) };

static int is_kept(cap_value_t cap)
{
	for (int i = 0; i < KEPT_N; i++)
		if (kept[i] == cap)
			return 1;
	return 0;
}

/* Needs CAP_SETPCAP, which only root has: without it there is nothing to give up in the bounding set either. */
static int drop_bounding_set(void)
{
	if (cap_get_bound(CAP_SETPCAP) <= 0)
		return 0;
	for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!is_kept(cap) && cap_get_bound(cap) > 0 && cap_drop_bound(cap))
			return errno == EPERM ? 0 : -errno;
	return 0;
}

/* Permitted and effective: those of kept that we have. Inheritable: none. */
static int set_capabilities(void)
{
	cap_t now = cap_get_proc(), wanted = cap_init();
	int err = now && wanted ? 0 : -ENOMEM;

	for (int i = 0; !err && i < KEPT_N; i++) {
		cap_flag_value_t has = CAP_CLEAR;

		if (cap_get_flag(now, kept[i], CAP_PERMITTED, &has) ||
		    cap_set_flag(wanted, CAP_PERMITTED, 1, &kept[i], has) ||
		    cap_set_flag(wanted, CAP_EFFECTIVE, 1, &kept[i], has))
			err = -errno;
	}
	if (!err && cap_set_proc(wanted))
		err = -errno;
	cap_free(now);
	cap_free(wanted);
	return err;
}

int vst_actor_drop_capabilities(const char **ret_step)
{
	int err;

	*ret_step = "empty the bounding set";
	err = drop_bounding_set();
	if (err)
		return err;
	*ret_step = "empty the ambient set";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	*ret_step = "lock the securebits";
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
					     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
					     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS_LOCKED) &&
	    errno != EPERM)
		return -errno;
	*ret_step = "set the capabilities";
	err = set_capabilities();
	if (err)
		return err;
	*ret_step = "set no_new_privs";
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

/* --- system calls --- */

static const int allowed[] = {
	/* files: knobs, journal, /proc and /sys */
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(fsync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(getdents64),
	SCMP_SYS(fcntl),
	SCMP_SYS(umask),
	/* the socket of vstord, and that of a successor */
	SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockopt),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* threads' I/O priority */
	SCMP_SYS(ioprio_get),
	SCMP_SYS(ioprio_set),
	/* blocks that a cache is to keep, see policy/actor_reads.h; io_setup was called before */
	SCMP_SYS(io_submit),
	SCMP_SYS(io_getevents),
	/* what libc needs */
	SCMP_SYS(brk),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),
	SCMP_SYS(geteuid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* A program that asks for one of these has been taken over. Ending it closes the socket, and vstord starts another. */
static const int deadly[] = {
	SCMP_SYS(execve),      SCMP_SYS(execveat),     SCMP_SYS(fork),	     SCMP_SYS(vfork),
	SCMP_SYS(clone),       SCMP_SYS(clone3),       SCMP_SYS(ptrace),     SCMP_SYS(process_vm_writev),
	SCMP_SYS(connect),     SCMP_SYS(bpf),	       SCMP_SYS(mount),	     SCMP_SYS(umount2),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(setuid),
	SCMP_SYS(setresuid),   SCMP_SYS(capset),       SCMP_SYS(chroot),     SCMP_SYS(unshare),
	SCMP_SYS(setns),
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *syscalls, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = seccomp_rule_add(filter, action, syscalls[i], 0);
	return err;
}

static int add_rules(scmp_filter_ctx filter)
{
	int err = add_all(filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(*allowed));

	if (!err)
		err = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(*deadly));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	if (!err) /* memory for data, never for code */
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

/*
 * A system call that is not in the list fails with EPERM. Killing the process would be stricter, but a libc that uses a
 * new system call for an old purpose must not take the guardian away.
 */
int vst_actor_filter_syscalls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? add_rules(filter) : -ENOMEM;

	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
