// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/who/cgpath.h"
#include "agent/base/log.h"
#include "agent/who/owners.h"
#include "agent/who/runtime.h"

#define SCAN_DEPTH 32
#define ROOT_CGROUP 1	/* its id, in every hierarchy: a mount of another one shows a part of the tree */
#define ASK_FIRST 0.05	/* seconds; doubled each time ... */
#define ASK_LAST 60.0	/* ... up to this, then never again */
#define ASK_AT_ONCE 100 /* in one tick: each takes 20 to 50 us, the others wait for the next */

/*
 * A place of the table of cgroups, open addressing. Not uthash: with thousands of containers each step of a chain misses the
 * processor's caches, and the first tick of 1,000 of them takes thousands of look-ups.
 */
struct cgroup {
	__u64 key;		 /* id << 2 | hierarchy; 0: nothing here, nor further on */
	struct vst_container *c; /* NULL: it was forgotten */
	double ended;		 /* 0: it exists */
	unsigned int scan;	 /* the last that found it */
};

struct vst_owners {
	char root[64];
	struct vst_runtime *runtime;
	struct cgroup *cgroups;
	unsigned int places, used, n_cgroups; /* a power of 2; those with a key; with a container */
	struct vst_container *containers;
	struct vst_container *ask_next; /* where the last tick stopped asking; NULL: at the first */
	struct vst_container *nobody;
	unsigned int scan;
	bool scan_partial; /* there is more than the last scan could look at */
	bool crowded;	   /* and it was said */
};

/* --- containers --- */

static void container_free(struct vst_container *c)
{
	free(c->cgroup);
	free(c->display);
	free(c->ns);
	free(c->pod);
	free(c->name);
	free(c->image);
	free(c->id);
	free(c->runtime);
	free(c);
}

static void set(char **field, const char *value)
{
	char *copy;

	if (*field && !strcmp(*field, value))
		return;
	copy = strdup(value);
	if (!copy)
		return;
	free(*field);
	*field = copy;
}

static void container_names(struct vst_container *c, const struct vst_names *names)
{
	char display[VST_DISPLAY_MAX];

	vst_names_display(names, display, sizeof(display));
	set(&c->display, names->kind == VST_CGKIND_HOST ? "host" : display);
	set(&c->ns, names->ns);
	set(&c->pod, names->pod);
	set(&c->name, names->name);
	set(&c->image, names->image);
	set(&c->runtime, vst_runtime_name(names->runtime));
	c->changed++;
	c->listed = names->kind == VST_CGKIND_CONTAINER || names->kind == VST_CGKIND_UNIT;
}

/* What its runtime calls it, or what the path says until that is known. */
static void container_ask(struct vst_owners *o, struct vst_container *c, double now)
{
	struct vst_cgpath cg;
	struct vst_names names;
	int err;

	c->ask_at = 0;
	if (vst_cgpath_parse(c->cgroup, &cg))
		return;
	vst_names_from_path(&cg, &names);
	err = o->runtime ? vst_runtime_lookup(o->runtime, &cg, &names) : 0;
	container_names(c, &names);
	/* a file can come after the cgroup; of what has ended already, this was the last look */
	if (err != -ENOENT || c->ended)
		return;
	c->pause = c->pause ? c->pause * 2 : ASK_FIRST;
	if (c->pause <= ASK_LAST)
		c->ask_at = now + c->pause;
}

static struct vst_container *container_new(const char *cgroup, const char *display)
{
	struct vst_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cgroup = strdup(cgroup);
	c->display = strdup(display);
	c->ns = strdup("");
	c->pod = strdup("");
	c->name = strdup("");
	c->image = strdup("");
	c->id = strdup("");
	c->runtime = strdup("");
	if (!c->cgroup || !c->display || !c->ns || !c->pod || !c->name || !c->image || !c->id || !c->runtime) {
		container_free(c);
		return NULL;
	}
	return c;
}

static struct vst_container *container_of_path(struct vst_owners *o, const char *path, double now)
{
	char scope[VST_EVENT_PATH + 1], id[VST_NAME_MAX];
	struct vst_container *c;
	struct vst_cgpath cg;
	size_t len;

	if (vst_cgpath_parse(path, &cg))
		return NULL;
	len = cg.scope_len < sizeof(scope) ? cg.scope_len : sizeof(scope) - 1;
	memcpy(scope, path, len);
	scope[len] = 0;
	if (!len)
		strcpy(scope, "/");
	HASH_FIND_STR(o->containers, scope, c);
	if (c)
		return c;
	c = container_new(scope, "");
	if (!c)
		return NULL;
	if (cg.id) {
		snprintf(id, sizeof(id), "%.*s", (int)(cg.id_len < sizeof(id) ? cg.id_len : sizeof(id) - 1), cg.id);
		set(&c->id, id);
	}
	c->since = now;
	HASH_ADD_KEYPTR(hh, o->containers, c->cgroup, strlen(c->cgroup), c);
	container_ask(o, c, now);
	return c;
}

/* --- cgroups --- */

static __u64 key_of(__u64 hier, __u64 id)
{
	return id << 2 | hier;
}

/* The place of a key, or the empty one where it belongs. */
static struct cgroup *place_of(const struct vst_owners *o, __u64 key)
{
	unsigned int i = (unsigned int)(key * 0x9e3779b97f4a7c15ULL >> 32);

	for (;; i++) {
		struct cgroup *cg = &o->cgroups[i & (o->places - 1)];

		if (!cg->key || cg->key == key)
			return cg;
	}
}

/* Makes room for one more, with at least half of the places empty. What was found before is elsewhere then. */
static int places_grow(struct vst_owners *o)
{
	unsigned int n = o->places, old = o->places;
	struct cgroup *cg = o->cgroups;

	if (2 * (o->used + 1) <= o->places)
		return 0;
	for (n = 1024; n < 3 * o->n_cgroups; n *= 2)
		;
	o->cgroups = calloc(n, sizeof(*o->cgroups));
	if (!o->cgroups) {
		o->cgroups = cg;
		return -ENOMEM;
	}
	o->places = n;
	o->used = o->n_cgroups;
	for (unsigned int i = 0; i < old; i++)
		if (cg[i].c)
			*place_of(o, cg[i].key) = cg[i];
	free(cg);
	return 0;
}

static struct cgroup *cgroup_find(const struct vst_owners *o, __u64 hier, __u64 id)
{
	struct cgroup *cg = o->places ? place_of(o, key_of(hier, id)) : NULL;

	return cg && cg->c ? cg : NULL;
}

static struct cgroup *cgroup_add(struct vst_owners *o, __u64 hier, __u64 id, struct vst_container *c)
{
	struct cgroup *cg;

	if (!c || places_grow(o))
		return NULL;
	cg = place_of(o, key_of(hier, id));
	o->used += !cg->key;
	o->n_cgroups++;
	*cg = (struct cgroup){ .key = key_of(hier, id), .c = c };
	c->alive++;
	c->cgroups++;
	return cg;
}

/* The same cgroup again: a unit, or a container that keeps its id, was started anew. */
static void container_again(struct vst_owners *o, struct vst_container *c, double now)
{
	c->ended = 0;
	c->crowded_out = false;
	c->since = now;
	c->restarts++;
	c->pause = 0;
	container_ask(o, c, now);
}

static struct cgroup *cgroup_made(struct vst_owners *o, __u64 hier, __u64 id, const char *path, double now)
{
	struct cgroup *cg = cgroup_find(o, hier, id);

	if (cg)
		return cg;
	cg = cgroup_add(o, hier, id, container_of_path(o, path, now));
	if (cg && cg->c->ended)
		container_again(o, cg->c, now);
	return cg;
}

static void cgroup_gone(struct cgroup *cg, double now)
{
	if (cg->ended)
		return;
	cg->ended = now;
	if (!--cg->c->alive)
		cg->c->ended = now;
}

void vst_owners_event(struct vst_owners *o, const struct vst_event_cgroup *event, double now)
{
	struct cgroup *cg;

	if (event->type == VST_EVENT_CGROUP_MKDIR) {
		cgroup_made(o, event->hier, event->id, event->path, now);
	} else if (event->type == VST_EVENT_CGROUP_RMDIR) {
		cg = cgroup_find(o, event->hier, event->id);
		if (cg)
			cgroup_gone(cg, now);
	}
}

struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	struct vst_container *c;
	struct cgroup *cg;
	char name[64];

	if (key->witness == VST_WITNESS_NONE)
		return o->nobody;
	cg = cgroup_find(o, key->hier, key->owner);
	if (cg)
		return cg->c;
	/* neither scanned nor made since: an event was lost, and the cgroup is gone again */
	snprintf(name, sizeof(name), "cgroup-%llu", (unsigned long long)key->owner);
	HASH_FIND_STR(o->containers, name, c);
	if (c)
		return c;
	c = container_new(name, name);
	if (!c)
		return o->nobody;
	c->since = c->ended = now;
	HASH_ADD_KEYPTR(hh, o->containers, c->cgroup, strlen(c->cgroup), c);
	return c;
}

bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before)
{
	struct cgroup *cg;

	if (key->witness == VST_WITNESS_NONE)
		return false;
	cg = cgroup_find(o, key->hier, key->owner);
	return !cg || (cg->ended && cg->ended < before);
}

/* --- the scan --- */

static void scan_found(struct vst_owners *o, __u64 hier, __u64 id, const char *path, double now)
{
	struct cgroup *cg = cgroup_made(o, hier, id, path, now);

	if (cg)
		cg->scan = o->scan;
}

static void scan_dir(struct vst_owners *o, int dir_fd, __u64 hier, const char *path, int depth, double now)
{
	char child[VST_EVENT_PATH];
	struct dirent *e;
	struct stat st;
	DIR *dir;
	int fd;

	dir = fdopendir(dir_fd);
	if (!dir) {
		o->scan_partial = true;
		close(dir_fd);
		return;
	}
	while ((e = readdir(dir))) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(child, sizeof(child), "%s/%s", path, e->d_name) >= (int)sizeof(child)) {
			o->scan_partial = true;
			continue;
		}
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0) {
			o->scan_partial = o->scan_partial || errno != ENOENT;
			continue;
		}
		if (fstat(fd, &st)) {
			close(fd);
			continue;
		}
		scan_found(o, hier, st.st_ino, child, now);
		if (depth < SCAN_DEPTH) {
			scan_dir(o, fd, hier, child, depth + 1, now);
		} else {
			o->scan_partial = true;
			close(fd);
		}
	}
	closedir(dir);
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (!strncmp(list, word, n) && (!list[n] || list[n] == ',' || list[n] == '\n'))
			return true;
	return false;
}

/* One line of mountinfo: a cgroup hierarchy that counts owners? */
static bool mount_hier(char *line, char **ret_where, __u64 *ret_hier)
{
	char *dash = strstr(line, " - "), *where, type[32], options[512];
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
	*strchr(where, ' ') = 0;
	*ret_where = where;
	return true;
}

/* What was known and is not there any more: its end was not told. */
static void scan_sweep(struct vst_owners *o, __u64 hier, double now)
{
	struct cgroup *cg;

	for (cg = o->cgroups; cg < o->cgroups + o->places; cg++)
		if (cg->c && (cg->key & 3) == hier && cg->scan != o->scan)
			cgroup_gone(cg, now);
}

int vst_owners_scan(struct vst_owners *o, double now)
{
	char path[PATH_MAX], line[4096], *where;
	struct stat st;
	__u64 hier;
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", o->root);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	o->scan++;
	while (fgets(line, sizeof(line), f)) {
		if (!mount_hier(line, &where, &hier))
			continue;
		fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		scan_found(o, hier, ROOT_CGROUP, "/", now);
		o->scan_partial = fstat(fd, &st) || st.st_ino != ROOT_CGROUP;
		scan_dir(o, fd, hier, "", 0, now);
		if (!o->scan_partial)
			scan_sweep(o, hier, now);
	}
	fclose(f);
	return 0;
}

int vst_owners_hiers(const char *root, struct vst_hiers *ret)
{
	char path[PATH_MAX], line[256], name[64];
	unsigned int id;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/cgroups", root);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	ret->blkio = ret->memory = VST_HIER_UNIFIED;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %u", name, &id) != 2 || !id)
			continue;
		if (!strcmp(name, "blkio"))
			ret->blkio = VST_HIER_BLKIO;
		else if (!strcmp(name, "memory"))
			ret->memory = VST_HIER_MEMORY;
	}
	fclose(f);
	return 0;
}

/* --- the whole --- */

int vst_owners_new(const char *root, struct vst_owners **ret)
{
	struct vst_owners *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	snprintf(o->root, sizeof(o->root), "%s", root);
	o->nobody = container_new("", "unattributed");
	if (!o->nobody) {
		free(o);
		return -ENOMEM;
	}
	o->runtime = vst_runtime_new(*root ? root : "/");
	if (!o->runtime)
		vst_warn("cannot open %s: %s; containers are shown by their ids", *root ? root : "/", strerror(errno));
	*ret = o;
	return 0;
}

static bool is_over(double ended, double now)
{
	return ended && now - ended >= VST_KEEP_DEAD;
}

static void forget_cgroups(struct vst_owners *o, double now)
{
	struct cgroup *cg;

	for (cg = o->cgroups; cg < o->cgroups + o->places; cg++) {
		/* a container that lives on makes and removes cgroups inside it for years */
		if (!cg->c || (!is_over(cg->ended, now) && !cg->c->crowded_out))
			continue;
		cg->c->cgroups--;
		cg->c = NULL;
		o->n_cgroups--;
	}
}

static void forget_containers(struct vst_owners *o, double now)
{
	struct vst_container *c, *next;

	HASH_ITER(hh, o->containers, c, next)
	{
		if ((!is_over(c->ended, now) && !c->crowded_out) || c->rows || c->cgroups)
			continue;
		if (o->ask_next == c)
			o->ask_next = next;
		HASH_DEL(o->containers, c);
		container_free(c);
	}
}

/* Asks those whose time has come, beginning where it stopped the last time. */
static void ask_again(struct vst_owners *o, double now)
{
	struct vst_container *c = o->ask_next;
	unsigned int n = HASH_COUNT(o->containers), asked = 0;

	for (; n && asked < ASK_AT_ONCE; n--, c = c->hh.next) {
		c = c ?: o->containers;
		if (!c->ask_at || now < c->ask_at)
			continue;
		container_ask(o, c, now);
		asked++;
	}
	o->ask_next = c;
}

/* So many that ended are more than there is room for: those that were made first go early. */
static void crowd_out(struct vst_owners *o)
{
	struct vst_container *c;
	unsigned int ended = 0;

	for (c = o->containers; c; c = c->hh.next)
		ended += c->ended && !c->crowded_out;
	if (ended <= VST_KEEP_DEAD_MAX)
		return;
	if (!o->crowded)
		vst_info("more than %u containers ended within %.0f s: the oldest of them are forgotten earlier",
			 VST_KEEP_DEAD_MAX, VST_KEEP_DEAD);
	o->crowded = true;
	for (c = o->containers; c && ended > VST_KEEP_DEAD_MAX; c = c->hh.next) {
		if (!c->ended || c->crowded_out)
			continue;
		c->crowded_out = true;
		ended--;
	}
}

void vst_owners_tick(struct vst_owners *o, double now)
{
	ask_again(o, now);
	crowd_out(o);
	forget_cgroups(o, now);
	forget_containers(o, now);
}

struct vst_container *vst_owners_first(struct vst_owners *o)
{
	return o->containers;
}

unsigned int vst_owners_count(struct vst_owners *o)
{
	struct vst_container *c;
	unsigned int n = 0;

	for (c = o->containers; c; c = c->hh.next)
		n += c->listed;
	return n;
}

void vst_owners_free(struct vst_owners *o)
{
	struct vst_container *c, *c_next;

	if (!o)
		return;
	free(o->cgroups);
	HASH_ITER(hh, o->containers, c, c_next)
	{
		HASH_DEL(o->containers, c);
		container_free(c);
	}
	if (o->nobody)
		container_free(o->nobody);
	if (o->runtime)
		vst_runtime_free(o->runtime);
	free(o);
}
