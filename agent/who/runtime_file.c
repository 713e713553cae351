/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading files that others write, some of them with the contents, or the very file, chosen by a container's user: at
 * most so much, only regular files, nothing held.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/who/runtime_priv.h"
#include "lib/utf8.h"

#define FILE_MAX ((size_t)16 << 20)

static int open_in_root(struct vst_runtime *rt, const char *path, int flags)
{
	struct open_how how = {
		.flags = (__u64)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = rt->resolve,
	};
	long fd = syscall(SYS_openat2, rt->root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/*
 * Looks before it opens: opening a device can do something (rewind a tape, arm a watchdog), looking at it cannot. The
 * second open goes by the descriptor, so that it is the same file.
 */
static int open_regular(struct vst_runtime *rt, const char *path, struct stat *st)
{
	char self[32];
	int fd, r;

	fd = open_in_root(rt, path, O_PATH);
	if (fd < 0)
		return fd;
	if (fstat(fd, st))
		r = -errno;
	else if (!S_ISREG(st->st_mode))
		r = -EINVAL;
	else if ((size_t)st->st_size > FILE_MAX)
		r = -EFBIG;
	else {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		r = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		r = r < 0 ? -errno : r;
	}
	close(fd);
	return r;
}

int vst_rtfile_read(struct vst_runtime *rt, const char *path, char **ret, size_t *ret_len)
{
	struct stat st;
	size_t len = 0;
	char *buf;
	ssize_t n;
	int fd, r;

	fd = open_regular(rt, path, &st);
	if (fd < 0)
		return fd;
	r = -ENOMEM;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		goto out;
	/* What is appended meanwhile is not ours to read: the file is looked at again, later. */
	while (len < (size_t)st.st_size) {
		n = read(fd, buf + len, (size_t)st.st_size - len);
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : 0;
		if (n < 0)
			goto out;
		if (!n)
			break;
		len += (size_t)n;
	}
	buf[len] = 0;
	*ret = buf;
	*ret_len = len;
	buf = NULL;
	r = 0;
out:
	free(buf);
	close(fd);
	return r;
}

int vst_rtfile_json_parse(const char *text, size_t len, size_t max_tokens, json_t **ret)
{
	size_t tokens = 0, i;
	json_t *json;

	/* A value takes some 100 bytes where "[]," takes 3: count before anything is made. */
	for (i = 0; i < len; i++)
		tokens += text[i] == ',' || text[i] == ':' || text[i] == '[' || text[i] == '{';
	if (tokens > max_tokens)
		return -E2BIG;
	/*
	 * ALLOW_NUL: "\u0000" in somebody's label must not hide the name. INT_AS_REAL: an OCI configuration has rlimits
	 * up to 2^64 - 1, which are an error otherwise.
	 */
	json = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DISABLE_EOF_CHECK, NULL);
	if (!json)
		return -EINVAL;
	*ret = json;
	return 0;
}

int vst_rtfile_json(struct vst_runtime *rt, const char *path, size_t max_tokens, json_t **ret)
{
	size_t len;
	char *text;
	int r;

	r = vst_rtfile_read(rt, path, &text, &len);
	if (r < 0)
		return r;
	r = vst_rtfile_json_parse(text, len, max_tokens, ret);
	free(text);
	return r;
}

DIR *vst_rtfile_opendir(struct vst_runtime *rt, const char *path)
{
	int fd = open_in_root(rt, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

static bool waits_for_others(const char *type)
{
	static const char *const types[] = { "nfs",  "nfs4", "cifs",   "smb3", "fuse",	"fuseblk",  "autofs",
					     "ceph", "afs",  "lustre", "gfs2", "ocfs2", "glusterfs" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(type, types[i]))
			return true;
	return !strncmp(type, "fuse.", 5);
}

bool vst_rtfile_is_remote(const char *mounts, const char *path)
{
	size_t best = 0, len = strlen(path);
	struct mntent m;
	char buf[8192];
	bool remote = false, below = false;
	FILE *f;

	f = setmntent(mounts, "re");
	if (!f)
		return true;
	while (getmntent_r(f, &m, buf, sizeof(buf))) {
		size_t n = strlen(m.mnt_dir);

		while (n && m.mnt_dir[n - 1] == '/')
			n--;
		if (n > len && !strncmp(m.mnt_dir, path, len) && m.mnt_dir[len] == '/')
			below = below || waits_for_others(m.mnt_type);
		/* The last of the same length lies on top. */
		if (n < best || strncmp(path, m.mnt_dir, n) || (path[n] && path[n] != '/'))
			continue;
		best = n;
		remote = waits_for_others(m.mnt_type);
	}
	endmntent(f);
	return remote || below;
}

void vst_names_copy(char ret[VST_NAME_MAX], const char *s, size_t len)
{
	size_t to = 0, i = 0;

	while (i < len) {
		size_t n = vst_utf8_len(s + i, len - i);
		const char *from = n ? s + i : VST_UTF8_REPLACEMENT;
		size_t add = n ? n : strlen(VST_UTF8_REPLACEMENT);

		if (to + add >= VST_NAME_MAX)
			break;
		memcpy(ret + to, from, add);
		to += add;
		i += n ? n : 1;
	}
	ret[to] = 0;
}
