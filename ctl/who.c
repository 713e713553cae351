/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>
#include "who.h"

#define SHORT_ID 12
/* More of one name than this are shown with their whole path: finding the shortest part takes time quadratic in them. */
#define SHORTENED 64

static const struct {
	struct vst_who who;
	const char *label, *meaning;
} own[] = {
	{ { "unattributed", "" },
	  "[unattributed]",
	  "[unattributed] is not a container: it is the I/O whose owner vstor cannot tell, such as journals and device "
	  "flushes." },
	{ { "kernel", "" }, "[kernel]", "[kernel] is not a container: it is the kernel's own threads." },
	{ { "others", "" }, "[others]", "[others] is not a container: it is many small holders together." },
	{ { "overflow", "" },
	  "[overflow]",
	  "[overflow] is not a container: it is all cgroups beyond the number that vstor tells apart." },
	{ { "host", "/" }, "[host]", "[host] is the root cgroup: what runs outside all units and containers." },
	{ { "self", "" }, "[self]", "[self] is the container itself, where its tasks wait for each other." },
};
#define OWN (sizeof(own) / sizeof(own[0]))
#define ASKED_FOR (OWN - 1) /* all but self, which is the last one */

int vst_who_compare(const struct vst_who *x, const struct vst_who *y)
{
	int d = strcmp(x->cgroup, y->cgroup);

	return d || *x->cgroup ? d : strcmp(x->name, y->name);
}

const char *vst_who_own_meaning(const char *name)
{
	for (size_t i = 0; i < OWN; i++)
		if (!strcmp(own[i].who.name, name))
			return own[i].meaning;
	return NULL;
}

bool vst_who_is_own(const struct vst_who *w)
{
	return !strcmp(w->cgroup, "/") || (!*w->cgroup && vst_who_own_meaning(w->name));
}

bool vst_who_own(size_t i, struct vst_who *ret)
{
	if (i >= ASKED_FOR)
		return false;
	*ret = own[i].who;
	return true;
}

void vst_who_json(json_t *o, const char *field, const struct vst_who *w)
{
	if (vst_who_is_own(w))
		json_object_set_new(o, field, json_true());
}

/* --- labels --- */

struct label {
	struct vst_who who;
	char *text; /* NULL: not made yet */
};

struct vst_who_labels {
	struct label *list;
	size_t n, cap;
	bool sorted;
};

struct vst_who_labels *vst_who_labels_new(void)
{
	return vst_alloc(sizeof(struct vst_who_labels));
}

static void label_free(struct label *l)
{
	free((char *)l->who.name);
	free((char *)l->who.cgroup);
	free(l->text);
}

void vst_who_labels_free(struct vst_who_labels *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		label_free(&l->list[i]);
	free(l->list);
	free(l);
}

void vst_who_labels_add(struct vst_who_labels *l, const struct vst_who *w)
{
	l->list = vst_grow(l->list, l->n, &l->cap, sizeof(*l->list));
	l->list[l->n++] = (struct label){ .who = { vst_dup(w->name), vst_dup(w->cgroup) } };
	l->sorted = false;
}

/* By name, and below that by cgroup. */
static int by_name(const void *a, const void *b)
{
	const struct label *x = a, *y = b;
	int d = strcmp(x->who.name, y->who.name);

	return d ? d : strcmp(x->who.cgroup, y->who.cgroup);
}

const char *vst_who_id(const char *cgroup)
{
	const char *last = strrchr(cgroup, '/');
	size_t digits = 0;

	for (const char *p = last ? last : cgroup; *p; p++) {
		digits = isxdigit((unsigned char)*p) ? digits + 1 : 0;
		if (digits == 64)
			return p - 63;
	}
	return NULL;
}

/* The last n components of a path; all of it if it has no more. */
static const char *tail_of(const char *path, unsigned int n)
{
	const char *p = path + strlen(path);

	while (p > path)
		if (*--p == '/' && !--n)
			return p + 1;
	return path;
}

static bool differ(const struct label *list, size_t n, unsigned int components)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++)
			if (!strcmp(tail_of(list[i].who.cgroup, components), tail_of(list[k].who.cgroup, components)))
				return false;
	return true;
}

/* As many components of the paths of list[0..n) as tell them apart; 0: nothing less than all of them does. */
static unsigned int components_of(const struct label *list, size_t n)
{
	if (n > SHORTENED)
		return 0;
	for (unsigned int c = 1; c < 8; c++)
		if (differ(list, n, c))
			return c;
	return 0;
}

/*
 * No container of a user can look like a word of vstor's own: a bracket at the beginning of its name is escaped. Brackets are
 * what ps and top show kernel threads in.
 */
static char *label_text(const struct label *l, bool alone, unsigned int components)
{
	const char *name = l->who.name, *cgroup = l->who.cgroup, *id = vst_who_id(cgroup);
	const char *tail = components ? tail_of(cgroup, components) : cgroup;
	char *text = vst_alloc(strlen(name) + strlen(cgroup) + 8);

	if (vst_who_is_own(&l->who))
		sprintf(text, "[%s]", name);
	else if (alone)
		sprintf(text, "%s%s", *name == '[' ? "\\x5b" : "", name + (*name == '['));
	else
		sprintf(text, "%s%s (%.*s)", *name == '[' ? "\\x5b" : "", name + (*name == '['),
			id ? SHORT_ID : (int)strlen(tail), id ? id : tail);
	return text;
}

/* The labels of list[0..n), which have one name. */
static void make_group(struct label *list, size_t n)
{
	size_t users = 0;
	struct label *first = NULL;
	unsigned int components;

	for (size_t i = 0; i < n; i++) {
		if (vst_who_is_own(&list[i].who))
			continue;
		first = first ? first : &list[i];
		users++;
	}
	/* cgroup "" and "/" sort before others, so those of users follow each other */
	components = users > 1 ? components_of(first, users) : 0;
	for (size_t i = 0; i < n; i++)
		list[i].text = label_text(&list[i], users < 2, components);
}

static void make(struct vst_who_labels *l)
{
	size_t kept = 0, to;

	if (l->n)
		qsort(l->list, l->n, sizeof(*l->list), by_name);
	for (size_t i = 0; i < l->n; i++) {
		if (kept && !by_name(&l->list[kept - 1], &l->list[i]))
			label_free(&l->list[i]);
		else
			l->list[kept++] = l->list[i];
	}
	l->n = kept;
	for (size_t from = 0; from < l->n; from = to) {
		for (to = from; to < l->n && !strcmp(l->list[from].who.name, l->list[to].who.name); to++) {
			free(l->list[to].text);
			l->list[to].text = NULL;
		}
		make_group(&l->list[from], to - from);
	}
	l->sorted = true;
}

const char *vst_who_labels_find(struct vst_who_labels *l, const struct vst_who *w)
{
	const struct label key = { .who = *w }, *found;

	if (!l->sorted)
		make(l);
	for (size_t i = 0; i < OWN; i++)
		if (vst_who_is_own(w) && !strcmp(own[i].who.name, w->name))
			return own[i].label;
	found = l->n ? bsearch(&key, l->list, l->n, sizeof(*l->list), by_name) : NULL;
	return found ? found->text : w->name;
}
