/* SPDX-License-Identifier: GPL-2.0-only */
/* Policies and what they import, from files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/rules_priv.h"

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void freep(char **p)
{
	free(*p);
}

/* Up to one byte more than may be: then it is too large. The size that stat() tells is not trusted. */
static int read_all(int fd, char *buf, size_t *ret_len)
{
	size_t len = 0;

	while (len <= VST_POLICY_MAX_BYTES) {
		ssize_t n = read(fd, buf + len, VST_POLICY_MAX_BYTES + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += n;
	}
	if (len > VST_POLICY_MAX_BYTES)
		return -EFBIG;
	*ret_len = len;
	return 0;
}

static int read_file(void *arg, const char *path, char **ret_text, size_t *ret_len)
{
	/* without O_NONBLOCK, a FIFO would hold us until somebody writes to it */
	int fd __attribute__((cleanup(closep))) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *buf __attribute__((cleanup(freep))) = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	buf = malloc(VST_POLICY_MAX_BYTES + 1);
	if (!buf)
		return -ENOMEM;
	r = read_all(fd, buf, ret_len);
	if (r)
		return r;
	*ret_text = buf;
	buf = NULL;
	return 0;
}

static int read_stdin(char **ret_text, size_t *ret_len)
{
	char *buf __attribute__((cleanup(freep))) = malloc(VST_POLICY_MAX_BYTES + 1);
	int r = buf ? read_all(STDIN_FILENO, buf, ret_len) : -ENOMEM;

	if (r)
		return r;
	*ret_text = buf;
	buf = NULL;
	return 0;
}

int vst_policy_load(const char *path, struct vst_policy **ret, struct vst_policy_errors *errors)
{
	struct vst_parse p = { .file = path, .errors = errors };
	char *text __attribute__((cleanup(freep))) = NULL;
	size_t len;
	int r = strcmp(path, "-") ? read_file(NULL, path, &text, &len) : read_stdin(&text, &len);

	memset(errors, 0, sizeof(*errors));
	if (!r)
		return vst_policy_parse(text, len, strcmp(path, "-") ? path : "(standard input)", read_file, NULL, ret,
					errors);
	if (r == -ENOMEM)
		return r;
	if (r == -EFBIG)
		vst_parse_error_at(&p, 0, 0, "larger than 1 MiB; is it a policy? Split the rules, or use globs");
	else if (r == -EINVAL)
		vst_parse_error_at(&p, 0, 0, "is not a regular file; name the file that holds the policy");
	else
		vst_parse_error_at(&p, 0, 0, "cannot be read: %s; check the path and its permissions", strerror(-r));
	return p.no_memory ? -ENOMEM : -EINVAL;
}
