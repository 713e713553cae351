// SPDX-License-Identifier: GPL-2.0-only
/* vstorctl cache keep and unkeep: what users pin in caches. */
#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "client.h"
#include "format.h"
#include "lib/cleanup.h"
#include "whom.h"
#include "wire.h"

#define LOOK_S 30.0 /* how long a path may be looked at before the command ends */

/* --- what is meant --- */

/* "path /srv/db" or "container /CGROUP"; NULL: it is neither, and *ret_rc an exit code. The caller frees. */
static char *pin_meant(const struct vst_ctl *ctl, const char *typed, bool undo, int *ret_rc)
{
	_cleanup_free_ char *full = realpath(typed, NULL);
	struct vst_whom whom = { 0 };
	char *text = NULL;

	*ret_rc = 0;
	/* what is gone can be taken back, too */
	if (full || (undo && *typed == '/')) {
		if (asprintf(&text, "path %s", full ? full : typed) < 0)
			text = NULL;
		return text;
	}
	if (strchr(typed, '/') && *typed != '/' && access(typed, F_OK))
		vst_error("%s: %s, so it is looked for among the containers", typed, strerror(errno));
	*ret_rc = vst_whom_ask(ctl, typed, &whom);
	if (!*ret_rc && vst_who_is_own(&(struct vst_who){ whom.name, whom.cgroup })) {
		vst_error("%s Its data cannot be kept.", vst_who_own_meaning(whom.name));
		*ret_rc = VST_EXIT_FAILED;
	} else if (!*ret_rc && asprintf(&text, "container %s", whom.cgroup) < 0) {
		text = NULL;
	}
	vst_whom_clear(&whom);
	return text;
}

/* --- requests --- */

struct answer {
	bool failed, quiet;
};

static int take_answer(void *arg, json_t *line)
{
	struct answer *a = arg;
	const char *error = vst_wire_text(line, "error"), *text = vst_wire_text(line, "text");
	_cleanup_free_ char *escaped = vst_escape(*error ? error : text);

	if (*error)
		vst_error("%s", escaped);
	else if (!a->quiet && *text)
		puts(escaped);
	a->failed = a->failed || *error;
	return 0;
}

static int send(const struct vst_ctl *ctl, const char *path, const char *text, bool quiet)
{
	struct answer a = { .quiet = quiet };
	int rc = vst_post(ctl, path, text, strlen(text), take_answer, &a);

	return rc ? rc : a.failed ? VST_EXIT_FAILED : VST_EXIT_OK;
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
	int rc = send(ctl, "/v1/cache/keep", text, ctl->json);

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
		send(ctl, "/v1/cache/unkeep", text, true);
		rc = VST_EXIT_FAILED;
	} else {
		print_pin(ctl, &f);
	}
out:
	json_decref(f.pin);
	return rc;
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
	return undo ? send(ctl, "/v1/cache/unkeep", text, ctl->json) : run_keep(ctl, text);
}
