/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include "client.h"
#include "format.h"
#include "whom.h"
#include "wire.h"

#define ID_MIN 6
#define CANDIDATES_SHOWN 10
#define CGROUP_ROOT "/sys/fs/cgroup"

enum rank { NOT, PATH, PART, WORD, WHOLE };

static bool ends_word(char c)
{
	return !c || strchr("/.-_@:", c);
}

/* How much of a text was typed: NOT, PART, or WORD if it begins and ends where words do. */
static enum rank part_of(const char *text, const char *typed)
{
	size_t len = strlen(typed);
	enum rank best = NOT;

	for (const char *at = text; (at = strcasestr(at, typed)); at++) {
		bool word = (at == text || ends_word(at[-1])) && ends_word(at[len]);

		best = word ? WORD : best > PART ? best : PART;
	}
	return best;
}

static bool is_id(const struct vst_known *k, const char *typed)
{
	const char *in_path = vst_who_id(k->cgroup);
	size_t len = strlen(typed);

	return len >= ID_MIN && (!strncmp(k->id, typed, len) || (in_path && !strncmp(in_path, typed, len)));
}

static enum rank rank_of(const struct vst_known *k, const char *typed)
{
	enum rank part;

	if (!*typed)
		return NOT;
	if (!strcmp(k->name, typed) || (k->label && !strcmp(k->label, typed)) ||
	    (*k->cgroup && !strcmp(k->cgroup, typed)) || is_id(k, typed))
		return WHOLE;
	part = part_of(k->name, typed);
	/* in the path only words count: parts of "slice" or "docker" are everywhere */
	return part == NOT && *typed != '/' && part_of(k->cgroup, typed) == WORD ? PATH : part;
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

size_t vst_whom_above(const struct vst_known *list, size_t n, const char *path)
{
	size_t best = n, longest = 1;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i].cgroup);

		if (len <= longest || strncmp(list[i].cgroup, path, len) != 0 || path[len] != '/')
			continue;
		longest = len;
		best = i;
	}
	return best;
}

/* --- asking --- */

struct candidates {
	struct vst_known *list;
	size_t n, cap;
	struct vst_who_labels *labels;
};

static void known_add(struct candidates *k, const struct vst_who *who, const char *id, bool running, double age,
		      json_t *limits)
{
	k->list = vst_grow(k->list, k->n, &k->cap, sizeof(*k->list));
	k->list[k->n++] = (struct vst_known){
		.name = vst_dup(who->name),
		.cgroup = vst_dup(who->cgroup),
		.id = vst_dup(id),
		.running = running,
		.age = age,
		.limits = json_incref(limits),
	};
}

static struct vst_who who_of(const struct vst_known *k)
{
	return (struct vst_who){ k->name, k->cgroup };
}

static void known_free(struct vst_known *k)
{
	free(k->name);
	free(k->cgroup);
	free(k->id);
	json_decref(k->limits);
}

static void clear(struct candidates *k)
{
	for (size_t i = 0; i < k->n; i++)
		known_free(&k->list[i]);
	free(k->list);
	vst_who_labels_free(k->labels);
}

static int take(void *arg, json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "container"));
	const char *cgroup = json_string_value(json_object_get(line, "cgroup"));
	const struct vst_who who = { name, cgroup };

	if (!name || !cgroup)
		return -EPROTO;
	known_add(arg, &who, vst_wire_text(line, "id"), !strcmp(vst_wire_text(line, "state"), "running"),
		  json_number_value(json_object_get(line, "age")), json_object_get(line, "limits"));
	return 0;
}

/* Who waits or does I/O, in the rows of other replies: not all of them are containers that ps has. */
static int take_row(void *arg, json_t *line)
{
	static const char *const fields[][2] = {
		{ "container", "cgroup" },
		{ "waiter", "waiter_cgroup" },
		{ "holder", "holder_cgroup" },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct vst_who who = { vst_wire_text(line, fields[i][0]), vst_wire_text(line, fields[i][1]) };

		if (*who.name)
			known_add(arg, &who, "", true, 0, NULL);
	}
	return 0;
}

/* The same container together, the one that runs first. */
static int by_who(const void *a, const void *b)
{
	const struct vst_known *x = a, *y = b;
	const struct vst_who wx = who_of(x), wy = who_of(y);
	int d = vst_who_compare(&wx, &wy);

	return d ? d : (int)y->running - (int)x->running;
}

/* A container once, with its label. */
static void settle(struct candidates *k)
{
	size_t kept = 0;

	qsort(k->list, k->n, sizeof(*k->list), by_who);
	for (size_t i = 0; i < k->n; i++) {
		const struct vst_who who = who_of(&k->list[i]);
		const struct vst_who before = kept ? who_of(&k->list[kept - 1]) : (struct vst_who){ "", "" };

		if (!kept || vst_who_compare(&before, &who)) {
			k->list[kept++] = k->list[i];
			continue;
		}
		if (!k->list[kept - 1].limits)
			k->list[kept - 1].limits = json_incref(k->list[i].limits);
		known_free(&k->list[i]);
	}
	k->n = kept;
	vst_who_labels_free(k->labels);
	k->labels = vst_who_labels_new();
	for (size_t i = 0; i < k->n; i++) {
		const struct vst_who who = who_of(&k->list[i]);

		vst_who_labels_add(k->labels, &who);
	}
	for (size_t i = 0; i < k->n; i++) {
		const struct vst_who who = who_of(&k->list[i]);

		k->list[i].label = vst_who_labels_find(k->labels, &who);
	}
}

/* Those found have one name and have all ended: the last of them is meant. n: that is not so. */
static size_t last_of(const struct candidates *k, const size_t *found, size_t n)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++) {
		const struct vst_known *one = &k->list[found[i]];

		if (one->running || strcmp(one->name, k->list[found[0]].name) != 0)
			return n;
		best = one->age < k->list[found[best]].age ? i : best;
	}
	return best;
}

static int say_many(const struct candidates *k, const char *typed, const size_t *found, size_t n)
{
	char *escaped = vst_escape(typed);

	vst_error("'%s' may be any of %zu: give more of the name, or the cgroup", escaped, n);
	free(escaped);
	for (size_t i = 0; i < n && i < CANDIDATES_SHOWN; i++) {
		char *label = vst_escape(k->list[found[i]].label), *cgroup = vst_escape(k->list[found[i]].cgroup);

		fprintf(stderr, "  %s  %s\n", label, cgroup);
		free(label);
		free(cgroup);
	}
	if (n > CANDIDATES_SHOWN)
		fprintf(stderr, "  and %zu more\n", n - CANDIDATES_SHOWN);
	return VST_EXIT_USAGE;
}

static int say_none(const char *typed)
{
	char *escaped = vst_escape(typed);

	vst_error(
		"no container, unit or cgroup is called '%s', or has that in its name or path: 'vstorctl ps --all' "
		"lists them, and those that ended a short time ago. If the agent records, --at shows one that is gone",
		escaped);
	free(escaped);
	return VST_EXIT_FAILED;
}

static void take_over(struct candidates *k, size_t i, struct vst_whom *ret)
{
	ret->name = vst_dup(k->list[i].name);
	ret->cgroup = vst_dup(k->list[i].cgroup);
	ret->limits = json_incref(k->list[i].limits);
	ret->ended = !k->list[i].running;
	ret->alike = vst_alloc(k->n * sizeof(*ret->alike));
	for (size_t other = 0; other < k->n; other++)
		if (other != i && !strcmp(k->list[other].name, ret->name))
			ret->alike[ret->n_alike++] = vst_dup(k->list[other].cgroup);
}

/* 0, an exit code having said why, or -ENOENT: nobody in the list is meant. */
static int choose(struct candidates *k, const char *typed, struct vst_whom *ret)
{
	size_t *found = vst_alloc(k->n * sizeof(*found)), n, at;
	int rc = 0;

	settle(k);
	n = vst_whom_find(k->list, k->n, typed, found);
	at = n > 1 ? last_of(k, found, n) : 0;
	if (at < n)
		take_over(k, found[at], ret);
	else if (n)
		rc = say_many(k, typed, found, n);
	else if (*typed == '/' && (at = vst_whom_above(k->list, k->n, typed)) < k->n)
		take_over(k, at, ret);
	else
		rc = -ENOENT;
	free(found);
	return rc;
}

/* A path as people copy it: with the mount point before it, or a slash at its end. */
static char *tidy(const char *typed)
{
	size_t root = strlen(CGROUP_ROOT);
	char *text = vst_dup(!strncmp(typed, CGROUP_ROOT "/", root + 1) ? typed + root : typed);

	for (size_t n = strlen(text); n > 1 && *text == '/' && text[n - 1] == '/'; n--)
		text[n - 1] = '\0';
	return text;
}

/* All who are in other replies than that of ps. An older agent may not have them all. */
static void ask_others(const struct vst_ctl *ctl, struct candidates *k)
{
	static const char *const paths[] = { "/v1/io",	 "/v1/locks",	 "/v1/blame",	 "/v1/waits",
					     "/v1/slow", "/v1/patterns", "/v1/lifetimes" };
	struct vst_client *c = vst_client_new(ctl);

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		vst_client_get(c, paths[i], take_row, k);
	vst_client_free(c);
}

int vst_whom_ask(const struct vst_ctl *ctl, const char *typed, struct vst_whom *ret)
{
	struct candidates known = { 0 };
	struct vst_who own;
	char *tidied;
	int rc;

	if (!*typed) {
		vst_error("the name of the container is empty: 'vstorctl ps --all' lists the names");
		return VST_EXIT_USAGE;
	}
	tidied = tidy(typed);
	rc = vst_get(ctl, "/v1/ps?max_age=0", take, &known);
	for (size_t i = 0; vst_who_own(i, &own); i++)
		known_add(&known, &own, "", true, 0, NULL);
	if (!rc)
		rc = choose(&known, tidied, ret);
	if (rc == -ENOENT) {
		ask_others(ctl, &known);
		rc = choose(&known, tidied, ret);
	}
	if (rc == -ENOENT)
		rc = say_none(typed);
	free(tidied);
	clear(&known);
	return rc;
}

void vst_whom_clear(struct vst_whom *w)
{
	free(w->name);
	free(w->cgroup);
	json_decref(w->limits);
	for (size_t i = 0; i < w->n_alike; i++)
		free(w->alike[i]);
	free(w->alike);
}
