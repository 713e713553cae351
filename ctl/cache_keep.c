// SPDX-License-Identifier: GPL-2.0-only
/* vstorctl cache keep and unkeep: what users pin in caches. */
#include <limits.h>
#include <time.h>

#include "cache.h"
#include "client.h"
#include "format.h"
#include "lib/cleanup.h"
#include "meant.h"
#include "wire.h"

#define LOOK_S 30.0 /* how long a path may be looked at before the command ends */

/* --- requests --- */

struct answer {
	bool failed;
	char *text; /* of the agent; NULL: none came */
};

static int take_answer(void *arg, json_t *line)
{
	struct answer *a = arg;
	const char *error = vst_wire_text(line, "error"), *text = vst_wire_text(line, "text");
	_cleanup_free_ char *escaped = vst_escape(*error ? error : text);

	if (*error)
		vst_error("%s", escaped);
	if (!a->text)
		a->text = TAKE_PTR(escaped);
	a->failed = a->failed || *error;
	return 0;
}

/* *ret_text: what the agent said; the caller frees. */
static int post(const struct vst_ctl *ctl, const char *path, const char *text, char **ret_text)
{
	struct answer a = { .failed = false };
	int rc = vst_post(ctl, path, text, strlen(text), take_answer, &a);

	*ret_text = a.text;
	return rc ? rc : a.failed ? VST_EXIT_FAILED : VST_EXIT_OK;
}

static int unkeep(const struct vst_ctl *ctl, const char *text, bool quiet)
{
	_cleanup_free_ char *said = NULL;
	int rc = post(ctl, "/v1/cache/unkeep", text, &said);

	if (!rc && !quiet && said)
		puts(said);
	return rc;
}

/* The line of a pin in /v1/cache. */
struct found {
	const char *name; /* without its kind */
	json_t *pin;	  /* NULL: there is none */
	double time;	  /* of the reply */
};

static int take_pin(void *arg, json_t *line)
{
	struct found *f = arg;

	if (!strcmp(vst_wire_text(line, "type"), "head"))
		f->time = json_number_value(json_object_get(line, "time"));
	if (!strcmp(vst_wire_text(line, "type"), "pin") && !strcmp(vst_wire_text(line, "name"), f->name)) {
		json_decref(f->pin);
		f->pin = json_incref(line);
	}
	return 0;
}

/* Until the agent has looked where the path lies, which takes a while for a large tree. */
static int wait_for_pin(const struct vst_ctl *ctl, struct found *f)
{
	double until = vst_now() + LOOK_S;
	struct timespec pause = { .tv_nsec = 50000000 };
	int rc;

	do {
		nanosleep(&pause, NULL);
		json_decref(f->pin);
		f->pin = NULL;
		rc = vst_get(ctl, "/v1/cache?max_age=0", take_pin, f);
	} while (!rc && f->pin && !strcmp(vst_wire_text(f->pin, "state"), "looking") && vst_now() < until);
	return rc;
}

static void print_pin(const struct vst_ctl *ctl, const struct found *f)
{
	_cleanup_free_ char *name = vst_escape(f->name), *text = vst_escape(vst_wire_text(f->pin, "text"));
	char bytes[VST_CELL];

	if (ctl->json) {
		json_object_del(f->pin, "type");
		json_object_set_new(f->pin, "is_pin", json_true());
		json_object_set_new(f->pin, "time", json_real(f->time));
		json_object_set_new(f->pin, "interval", json_real(0));
		vst_json_line(json_incref(f->pin));
		return;
	}
	if (!strcmp(vst_wire_text(f->pin, "what"), "container"))
		return; /* the agent's own answer says it all */
	if (!strcmp(vst_wire_text(f->pin, "state"), "looking")) {
		printf("the agent still looks where %s lies: 'vstorctl cache' shows what it finds\n", name);
		return;
	}
	vst_format_bytes(bytes, json_number_value(json_object_get(f->pin, "bytes")), VST_UNITS_HUMAN);
	printf("%.0f files and directories with %sB of data, on %s\n",
	       json_number_value(json_object_get(f->pin, "files")), bytes, vst_wire_text(f->pin, "cache"));
	if (*text)
		printf("note: %s\n", text);
}

static int run_keep(const struct vst_ctl *ctl, const char *text)
{
	struct found f = { .name = strchr(text, ' ') + 1 };
	_cleanup_free_ char *said = NULL;
	int rc = post(ctl, "/v1/cache/keep", text, &said);

	if (!rc)
		rc = wait_for_pin(ctl, &f);
	if (rc)
		goto out;
	if (!f.pin) {
		vst_error("%s is not kept: the agent does not find it. It looks in its own mount namespace, or below "
			  "--host-root",
			  f.name);
		rc = VST_EXIT_FAILED;
	} else if (!strcmp(vst_wire_text(f.pin, "state"), "refused")) {
		vst_error("%s is not kept: %s", f.name, vst_wire_text(f.pin, "text"));
		unkeep(ctl, text, true);
		rc = VST_EXIT_FAILED;
	} else {
		if (!ctl->json && said)
			puts(said);
		print_pin(ctl, &f);
	}
out:
	json_decref(f.pin);
	return rc;
}

/* --- what is meant --- */

/* "path /srv/db" or "container /CGROUP"; NULL: it is neither, and *ret_rc an exit code. The caller frees. */
static char *pin_meant(const struct vst_ctl *ctl, const char *typed, bool undo, int *ret_rc)
{
	_cleanup_free_ char *full = realpath(typed, NULL), *cgroup = NULL;
	struct found f = { .name = full ? full : typed };
	char *text = NULL;
	int len;

	/* what is gone can be taken back, too, as it is listed */
	*ret_rc = undo ? vst_get(ctl, "/v1/cache?max_age=0", take_pin, &f) : 0;
	if (*ret_rc)
		return NULL;
	if (!f.pin && !full) {
		cgroup = vst_cgroup_meant(ctl, typed, "Its data cannot be kept.", ret_rc);
		if (!cgroup)
			return NULL;
	}
	len = asprintf(&text, "%s %s",
		       f.pin	? vst_wire_text(f.pin, "what")
		       : cgroup ? "container"
				: "path",
		       cgroup ? cgroup : f.name);
	json_decref(f.pin);
	return len < 0 ? NULL : text;
}

int vst_cache_keep(const struct vst_ctl *ctl, const char *typed, bool undo)
{
	_cleanup_free_ char *text = NULL;
	int rc = 0;

	if (ctl->replay)
		return vst_usage("cache",
				 "--at and --replay are for what was seen: nothing can be kept in a recording");
	text = pin_meant(ctl, typed, undo, &rc);
	if (!text)
		return rc ? rc : VST_EXIT_FAILED;
	return undo ? unkeep(ctl, text, ctl->json) : run_keep(ctl, text);
}
