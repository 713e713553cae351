// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/insight/attr_read.h"
#include "lib/cleanup.h"

#define PATH_SIZE (VST_FILE_NAMES * sizeof(((struct vst_file_name *)0)->path[0]) + 8)

int vst_attr_class(const char *value, size_t len)
{
	return len == 1 && *value >= '0' && *value <= '0' + VST_CLASS_MAX ? *value - '0' : VST_ATTR_REFUSED;
}

/* --- where it is mounted --- */

/* "\040" is a blank, and so on: see show_mountinfo() in the kernel. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; to++) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = 0;
}

/* ID PARENT MAJOR:MINOR ROOT AT OPTIONS [FIELD]... - TYPE SOURCE OPTIONS */
bool vst_attr_mount_parse(char *line, struct vst_attr_mount *ret)
{
	char *rest = strstr(line, " - "), *save, *word = NULL;

	if (!rest)
		return false;
	*rest = 0;
	save = line;
	for (int i = 0; i < 4; i++)
		word = strsep(&save, " ");
	ret->root = word;
	ret->at = strsep(&save, " ");
	save = rest + 3;
	strsep(&save, " ");
	ret->source = strsep(&save, " \n");
	if (!ret->root || !ret->at || !ret->source)
		return false;
	unescape(ret->root);
	unescape(ret->at);
	unescape(ret->source);
	return true;
}

bool vst_attr_path(const struct vst_file_name *f, const char *root, char *ret, size_t size)
{
	size_t len = 0, skip = strcmp(root, "/") ? strlen(root) : 0;
	char whole[PATH_SIZE];
	int n = 0;

	while (n < VST_FILE_NAMES && *f->path[n])
		n++;
	if (!n || f->more)
		return false;
	while (n-- > 0) {
		/* a name of this length has been cut off */
		if (strnlen(f->path[n], sizeof(f->path[n])) >= sizeof(f->path[n]) - 1)
			return false;
		len += (size_t)snprintf(whole + len, sizeof(whole) - len, "/%s", f->path[n]);
	}
	if (strncmp(whole, root, skip) != 0 || whole[skip] != '/')
		return false;
	return (size_t)snprintf(ret, size, "%s", whole + skip + 1) < size;
}

/* s_id is the name of the disk as the kernel has it, and a mount's source may be a link such as /dev/mapper/data. */
static bool is_source(const char *source, const char *device)
{
	char real[PATH_MAX], *slash;

	if (*source != '/' || !realpath(source, real))
		return false;
	slash = strrchr(real, '/');
	return slash && !strcmp(slash + 1, device);
}

/* --- reading --- */

/* Follows no link and crosses no mount: a container must not lead us to another's file. */
static int open_below(int dir, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int class_of_fd(int fd)
{
	char link[64], value[16];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = getxattr(link, VST_ATTR, value, sizeof(value));
	if (len >= 0)
		return vst_attr_class(value, (size_t)len);
	return errno == ERANGE ? VST_ATTR_REFUSED : VST_ATTR_NONE;
}

/* Of the nearest one that has it. path: of the file; it is cut down. */
static int class_above(int mount, char *path)
{
	int class = VST_ATTR_NONE;
	char *slash;

	while (class == VST_ATTR_NONE && (slash = strrchr(path, '/'))) {
		_cleanup_close_ int dir = -1;

		*slash = 0;
		dir = open_below(mount, path);
		if (dir < 0)
			return VST_ATTR_NONE;
		class = class_of_fd(dir);
	}
	return class == VST_ATTR_NONE ? class_of_fd(mount) : class;
}

/* False: it is not here. Names may have changed since the probe read them, so the number of the inode has to be the same. */
static bool read_at(const struct vst_file_name *f, const struct vst_attr_mount *m, int *ret)
{
	_cleanup_close_ int mount = -1, file = -1;
	char path[PATH_SIZE];
	struct stat st;

	if (!vst_attr_path(f, m->root, path, sizeof(path)))
		return false;
	mount = open(m->at, O_PATH | O_DIRECTORY | O_CLOEXEC);
	file = mount < 0 ? -1 : open_below(mount, path);
	if (file < 0 || fstat(file, &st) || st.st_ino != f->ino || !S_ISREG(st.st_mode))
		return false;
	*ret = class_of_fd(file);
	if (*ret == VST_ATTR_NONE)
		*ret = class_above(mount, path);
	return true;
}

int vst_attr_read(const struct vst_file_name *f)
{
	_cleanup_fclose_ FILE *in = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	struct vst_attr_mount m;
	int class = VST_ATTR_NONE;
	size_t cap = 0;

	while (in && getline(&line, &cap, in) > 0)
		if (vst_attr_mount_parse(line, &m) && is_source(m.source, f->device) && read_at(f, &m, &class))
			break;
	return class;
}
