/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include "client.h"
#include "format.h"
#include "whom.h"

#define ID_MIN 6
#define CANDIDATES_SHOWN 10

enum rank { NOT, PART, WORD, WHOLE };

static bool ends_word(char c)
{
	return !c || strchr("/.-_@:", c);
}

static enum rank rank_of(const struct vst_known *k, const char *typed)
{
	size_t len = strlen(typed);
	enum rank best = NOT;

	if (!strcmp(k->name, typed) || (*k->cgroup && !strcmp(k->cgroup, typed)) ||
	    (len >= ID_MIN && !strncmp(k->id, typed, len)))
		return WHOLE;
	for (const char *at = k->name; (at = strcasestr(at, typed)); at++) {
		bool word = (at == k->name || ends_word(at[-1])) && ends_word(at[len]);

		best = word ? WORD : best > PART ? best : PART;
	}
	return best;
}

size_t vst_whom_find(const struct vst_known *list, size_t n, const char *typed, size_t *ret)
{
	int best = 2 * NOT + 1; /* twice the rank, and 1 if it runs: less is not meant */
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		enum rank rank = rank_of(&list[i], typed);
		int score = 2 * (int)rank + list[i].running;

		if (rank == NOT || score < best)
			continue;
		if (score > best)
			found = 0;
		best = score;
		ret[found++] = i;
	}
	return found;
}

/* --- asking --- */

struct known {
	struct vst_known *list;
	size_t n, cap;
};

static void add(struct known *k, const char *name, const char *cgroup, const char *id, bool running)
{
	k->list = vst_grow(k->list, k->n, &k->cap, sizeof(*k->list));
	k->list[k->n++] = (struct vst_known){ vst_dup(name), vst_dup(cgroup), vst_dup(id), running };
}

static int take(void *arg, json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "container"));
	const char *cgroup = json_string_value(json_object_get(line, "cgroup"));
	const char *id = json_string_value(json_object_get(line, "id"));
	const char *state = json_string_value(json_object_get(line, "state"));

	if (!name || !cgroup || !id || !state)
		return -EPROTO;
	add(arg, name, cgroup, id, !strcmp(state, "running"));
	return 0;
}

static void clear(struct known *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->list[i].name);
		free(k->list[i].cgroup);
		free(k->list[i].id);
	}
	free(k->list);
}

/* Of those found the same one under several cgroups: it was started anew. */
static bool all_alike(const struct known *k, const size_t *found, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (strcmp(k->list[found[0]].name, k->list[found[i]].name) != 0)
			return false;
	return true;
}

static int say_many(const struct known *k, const char *typed, const size_t *found, size_t n)
{
	bool alike = all_alike(k, found, n);
	char *escaped = vst_escape(typed);

	if (alike)
		vst_error("%zu containers are called '%s' at once: give the cgroup of one instead", n, escaped);
	else
		vst_error("'%s' may be any of %zu: give more of the name", escaped, n);
	free(escaped);
	for (size_t i = 0; i < n && i < CANDIDATES_SHOWN; i++) {
		char *text = vst_escape(alike ? k->list[found[i]].cgroup : k->list[found[i]].name);

		fprintf(stderr, "  %s\n", text);
		free(text);
	}
	if (n > CANDIDATES_SHOWN)
		fprintf(stderr, "  and %zu more\n", n - CANDIDATES_SHOWN);
	return VST_EXIT_USAGE;
}

static int say_none(const char *typed)
{
	char *escaped = vst_escape(typed);

	vst_error(
		"no container, unit or cgroup is called '%s', or has that in its name: 'vstorctl ps --all' lists them",
		escaped);
	free(escaped);
	return VST_EXIT_FAILED;
}

static int choose(const struct known *k, const char *typed, struct vst_whom *ret)
{
	size_t *found = vst_alloc(k->n * sizeof(*found)), n = vst_whom_find(k->list, k->n, typed, found);
	int rc = 0;

	if (!n) {
		rc = say_none(typed);
	} else if (n > 1 && (!all_alike(k, found, n) || k->list[found[0]].running)) {
		rc = say_many(k, typed, found, n);
	} else {
		const struct vst_known *one = &k->list[found[0]];

		ret->name = vst_dup(one->name);
		ret->cgroup = *typed == '/' ? vst_dup(one->cgroup) : NULL;
	}
	free(found);
	return rc;
}

int vst_whom_ask(const struct vst_ctl *ctl, const char *typed, struct vst_whom *ret)
{
	struct known known = { 0 };
	int rc = vst_get(ctl, "/v1/ps", take, &known);

	add(&known, "kernel", "", "", true); /* its threads wait, too, and are nobody's container */
	if (!rc)
		rc = choose(&known, typed, ret);
	clear(&known);
	return rc;
}

void vst_whom_clear(struct vst_whom *w)
{
	free(w->name);
	free(w->cgroup);
}
