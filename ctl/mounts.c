/* SPDX-License-Identifier: GPL-2.0-only */
#include "mounts.h"

#define INODE " (inode "
#define ON " on "
#define NUMBER 16

struct mount {
	char number[NUMBER];
	char *point;
};

struct vst_mounts {
	struct mount *list;
	size_t n, cap;
};

/* A space is \040, and so on. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	*to = '\0';
}

struct vst_mounts *vst_mounts_new(FILE *mountinfo)
{
	struct vst_mounts *m = vst_alloc(sizeof(*m));
	char *line = NULL, number[NUMBER];
	size_t size = 0;
	int root, point, end;

	while (mountinfo && getline(&line, &size, mountinfo) > 0) {
		/* another root than "/" is a part that was bound elsewhere; a number that begins with 0 is of no disk */
		root = point = end = 0;
		if (sscanf(line, "%*d %*d %15s %n%*s %n%*s%n", number, &root, &point, &end) != 1 || !end ||
		    strncmp(line + root, "/ ", 2) != 0 || !strncmp(number, "0:", 2))
			continue;
		line[end] = '\0';
		unescape(line + point);
		m->list = vst_grow(m->list, m->n, &m->cap, sizeof(*m->list));
		memcpy(m->list[m->n].number, number, sizeof(number));
		m->list[m->n++].point = vst_dup(line + point);
	}
	free(line);
	return m;
}

void vst_mounts_free(struct vst_mounts *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->list[i].point);
	free(m->list);
	free(m);
}

/* Where the bracket begins that ends the object; a file's name may have one, too. NULL: it has no path. */
static const char *bracket_of(const char *object)
{
	const char *at = strrchr(object, '(');

	if (!at || at <= object + 1 || strncmp(at - 1, INODE, strlen(INODE)) != 0 || object[strlen(object) - 1] != ')')
		return NULL;
	return at - 1;
}

char *vst_mounts_device(const char *object)
{
	const char *bracket = bracket_of(object), *on = bracket ? strstr(bracket, ON) : NULL;
	char *name;

	if (!on)
		return NULL;
	name = vst_dup(on + strlen(ON));
	name[strlen(name) - 1] = '\0';
	return name;
}

char *vst_mounts_object(const struct vst_mounts *m, const char *object, const char *number)
{
	const char *bracket = bracket_of(object), *point = NULL, *path = object;
	char *whole;

	for (size_t i = 0; bracket && !point && i < m->n; i++)
		if (!strcmp(m->list[i].number, number))
			point = m->list[i].point;
	if (!point)
		return NULL;
	if (path + 1 == bracket) /* the root itself */
		path++;
	whole = vst_alloc(strlen(point) + strlen(path) + 2);
	/* "/" ends in the slash that a path begins with, and "…/a/b" has a point without one */
	sprintf(whole, "%s%s%s", strcmp(point, "/") || path != object ? point : "",
		*path != '/' && *path != ' ' ? "/" : "", path);
	return whole;
}

static bool read_number(const char *device, char number[NUMBER])
{
	char path[64];
	FILE *f;
	bool ok;

	if (strchr(device, '/') ||
	    (size_t)snprintf(path, sizeof(path), "/sys/class/block/%s/dev", device) >= sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(number, NUMBER, f);
	number[ok ? strcspn(number, "\n") : 0] = '\0';
	fclose(f);
	return ok;
}

void vst_mounts_line(struct vst_mounts **m, json_t *line)
{
	const char *object = json_string_value(json_object_get(line, "object"));
	char *device = object ? vst_mounts_device(object) : NULL, *whole = NULL, number[NUMBER];
	FILE *f;

	if (device && read_number(device, number)) {
		if (!*m) {
			f = fopen("/proc/self/mountinfo", "re");
			*m = vst_mounts_new(f);
			if (f)
				fclose(f);
		}
		whole = vst_mounts_object(*m, object, number);
	}
	if (whole)
		json_object_set_new(line, "object", json_string(whole)); /* not if it is no text to JSON */
	free(whole);
	free(device);
}
