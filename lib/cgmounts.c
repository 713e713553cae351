// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cgmounts.h"

#define ROOT_CGROUP 1 /* inode of the root of every hierarchy (fs/kernfs/dir.c, kernfs_create_root) */

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (!strncmp(list, word, n) && (!list[n] || list[n] == ',' || list[n] == '\n'))
			return true;
	return false;
}

/* The kernel writes a blank in a path as \040. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

bool vst_cgmounts_line(char *line, char **ret_where, enum vst_hierarchy *ret_hier)
{
	char *dash = strstr(line, " - "), *where, *end, type[32], options[512];
	int i;

	if (!dash || sscanf(dash, " - %31s %*s %511s", type, options) != 2)
		return false;
	if (!strcmp(type, "cgroup2"))
		*ret_hier = VST_HIER_UNIFIED;
	else if (!strcmp(type, "cgroup") && has_word(options, "blkio"))
		*ret_hier = VST_HIER_BLKIO;
	else if (!strcmp(type, "cgroup") && has_word(options, "memory"))
		*ret_hier = VST_HIER_MEMORY;
	else
		return false;
	where = line;
	for (i = 0; i < 4; i++) { /* mount id, parent id, device, root */
		where = strchr(where, ' ');
		if (!where)
			return false;
		where++;
	}
	end = strchr(where, ' ');
	if (!end || end > dash)
		return false;
	*end = 0;
	unescape(where);
	*ret_where = where;
	return true;
}

/* Which version 1 hierarchies there are: those of a controller with a hierarchy of its own. */
static int hierarchies_read(const char *root, struct vst_cgmount ret[VST_HIER__N])
{
	char path[PATH_MAX], line[256], name[64];
	unsigned int id, blkio = 0, memory = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/cgroups", root);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %u", name, &id) != 2)
			continue;
		if (!strcmp(name, "blkio"))
			blkio = id;
		else if (!strcmp(name, "memory"))
			memory = id;
	}
	fclose(f);
	ret[VST_HIER_UNIFIED].exists = true;
	ret[VST_HIER_BLKIO].exists = blkio != 0;
	ret[VST_HIER_MEMORY].with_blkio = memory != 0 && memory == blkio;
	ret[VST_HIER_MEMORY].exists = memory != 0 && memory != blkio;
	return 0;
}

static void mount_take(struct vst_cgmount *m, const char *where)
{
	struct stat st;
	bool whole = !stat(where, &st) && st.st_ino == ROOT_CGROUP;

	if (strlen(where) >= sizeof(m->where) || (m->mounted && (m->whole || !whole)))
		return;
	m->mounted = true;
	m->whole = whole;
	strcpy(m->where, where);
}

int vst_cgmounts_read(const char *root, struct vst_cgmount ret[VST_HIER__N])
{
	char path[PATH_MAX], *line = NULL, *where;
	enum vst_hierarchy hier;
	size_t size = 0;
	FILE *f;
	int err;

	memset(ret, 0, VST_HIER__N * sizeof(*ret));
	err = hierarchies_read(root, ret);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0)
		if (vst_cgmounts_line(line, &where, &hier))
			mount_take(&ret[hier], where);
	free(line);
	fclose(f);
	return 0;
}

const char *vst_cgmounts_why(const struct vst_cgmount m[VST_HIER__N], char *buf, size_t size)
{
	static const char *const names[VST_HIER__N] = {
		[VST_HIER_UNIFIED] = "cgroup v2",
		[VST_HIER_BLKIO] = "the blkio cgroups (v1)",
		[VST_HIER_MEMORY] = "the memory cgroups (v1)",
	};

	*buf = 0;
	for (int i = 0; i < VST_HIER__N && !*buf; i++) {
		if (!m[i].exists || m[i].whole)
			continue;
		if (m[i].mounted)
			snprintf(buf, size,
				 "%s shows a part of the host's cgroups only (a private cgroup namespace, or a mount "
				 "of a "
				 "part): containers outside it may be shown by a number, and their ends are not seen; "
				 "run "
				 "vstord in the host's cgroup namespace (docker: --cgroupns=host, Kubernetes: "
				 "privileged)",
				 m[i].where);
		else
			snprintf(buf, size,
				 "%s are not mounted here: containers that were there before vstord may be shown by a "
				 "number, and their ends are not seen; mount the host's /sys/fs/cgroup for vstord",
				 names[i]);
	}
	return buf;
}
