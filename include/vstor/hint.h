/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hints for storage. An application says what it knows about its I/O: how much a cache should value it, from class 0 (do
 * not keep it) to class 5 (keep it as long as possible). Header only, for C and C++; there is nothing to link.
 *
 *	#include <vstor/hint.h>
 *
 *	n = vstor_pwrite(fd, buf, len, offset, 5);
 *
 * The functions do what the calls of the same name without "vstor_" do, and pass the class in the sixth argument of the
 * system call, which the kernel does not look at. They need no privilege, no library and no agent: where vstor does not
 * run, nobody reads the argument. They are not cancellation points. A class out of range is ignored and counted; vstord
 * tells how many there were in the line "snapshot" of /v1/io.
 *
 * For direct I/O and for reads the class holds for exactly this call. Buffered writes reach the disk later and in other
 * sizes, so for these the class is the file's, until another one is given or the file was not written to with a class for
 * 5 minutes. io_uring and libaio have no spare argument: give their requests vstor_ioprio(class) as I/O priority, or the
 * whole thread with ioprio_set(2). fcntl(fd, F_SET_RW_HINT) is honoured too.
 */
#ifndef VSTOR_HINT_H
#define VSTOR_HINT_H

#define VSTOR_HINT_CLASS_MAX 5

/*
 * The argument. A program may leave it in its register when it makes its next call, so it is tied to the address of the
 * buffer (or of the vector), which is the second argument of all these calls.
 */
#define VSTOR_HINT_MAGIC 0x56535448494e54ULL /* "VSTHINT", 56 bits */
#define VSTOR_HINT_ARGUMENT(buffer, hint_class)                                                                        \
	(((VSTOR_HINT_MAGIC ^ (unsigned long long)(buffer)) << 8) | ((unsigned long long)(hint_class) & 0xff))

/* What a system call's second and sixth argument say: a class, maybe out of range; -1: nothing. */
#define VSTOR_HINT_DECODE(second, sixth)                                                                               \
	(((unsigned long long)(sixth) ^ ((VSTOR_HINT_MAGIC ^ (unsigned long long)(second)) << 8)) < 256                \
		 ? (int)((unsigned long long)(sixth) & 0xff)                                                           \
		 : -1)

/*
 * The same as I/O priority: best effort, level 4, with the class in its ten bits of hint (Linux 6.1 to 6.18 pass them on
 * unseen; the kernel's own hints use the lowest three alone).
 */
#define VSTOR_IOPRIO_MAGIC 0x55U
#define vstor_ioprio(hint_class) (2U << 13 | (VSTOR_IOPRIO_MAGIC << 3 | ((unsigned int)(hint_class) & 7U)) << 3 | 4U)
#define VSTOR_IOPRIO_DECODE(ioprio)                                                                                    \
	(((unsigned int)(ioprio) >> 6 & 0x7fU) == VSTOR_IOPRIO_MAGIC ? (int)((unsigned int)(ioprio) >> 3 & 7U) : -1)

#ifndef __bpf__
#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One call. On x86-64 the argument is taken out of its register, so that no later call has it by accident. */
static inline ssize_t vstor_hint_call(long number, int fd, const void *buffer, size_t count, off_t offset,
				      int hint_class)
{
	unsigned long long argument = VSTOR_HINT_ARGUMENT((size_t)buffer, hint_class);
#if defined(__x86_64__) && !defined(__ILP32__)
	register long long r10 __asm__("r10") = (long long)offset;
	register long long r8 __asm__("r8") = 0;
	register unsigned long long r9 __asm__("r9") = argument;
	long ret;

	__asm__ volatile("syscall\n\txorl %%r9d, %%r9d"
			 : "=a"(ret), "+r"(r9)
			 : "0"(number), "D"((long)fd), "S"(buffer), "d"(count), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	if (ret < 0 && ret > -4096) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
#else
	return syscall(number, fd, buffer, count, (long)offset, 0L, (long)argument);
#endif
}

static inline ssize_t vstor_read(int fd, void *buffer, size_t count, int hint_class)
{
	return vstor_hint_call(SYS_read, fd, buffer, count, 0, hint_class);
}

static inline ssize_t vstor_write(int fd, const void *buffer, size_t count, int hint_class)
{
	return vstor_hint_call(SYS_write, fd, buffer, count, 0, hint_class);
}

static inline ssize_t vstor_pread(int fd, void *buffer, size_t count, off_t offset, int hint_class)
{
	return vstor_hint_call(SYS_pread64, fd, buffer, count, offset, hint_class);
}

static inline ssize_t vstor_pwrite(int fd, const void *buffer, size_t count, off_t offset, int hint_class)
{
	return vstor_hint_call(SYS_pwrite64, fd, buffer, count, offset, hint_class);
}

static inline ssize_t vstor_readv(int fd, const struct iovec *vector, int n, int hint_class)
{
	return vstor_hint_call(SYS_readv, fd, vector, (size_t)n, 0, hint_class);
}

static inline ssize_t vstor_writev(int fd, const struct iovec *vector, int n, int hint_class)
{
	return vstor_hint_call(SYS_writev, fd, vector, (size_t)n, 0, hint_class);
}

static inline ssize_t vstor_preadv(int fd, const struct iovec *vector, int n, off_t offset, int hint_class)
{
	return vstor_hint_call(SYS_preadv, fd, vector, (size_t)n, offset, hint_class);
}

static inline ssize_t vstor_pwritev(int fd, const struct iovec *vector, int n, off_t offset, int hint_class)
{
	return vstor_hint_call(SYS_pwritev, fd, vector, (size_t)n, offset, hint_class);
}

#ifdef __cplusplus
}
#endif
#endif /* !__bpf__ */
#endif /* VSTOR_HINT_H */
