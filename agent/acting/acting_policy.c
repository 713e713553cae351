// SPDX-License-Identifier: GPL-2.0-only
/* The policy in force: read, read again when its file changes, kept when the new one is bad. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/acting/acting_priv.h"
#include "agent/base/log.h"
#include "lib/cleanup.h"

/* The directory, not the file: editors rename a new file over it, and a ConfigMap swaps a link beside it. */
int vst_acting_watch(struct vst_acting *a)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", a->opts.policy);
	a->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (a->inotify_fd < 0)
		return -errno;
	if (inotify_add_watch(a->inotify_fd, dirname(path),
			      IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM) < 0)
		return -errno;
	return 0;
}

void vst_acting_watch_read(struct vst_acting *a)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool any = false;

	while (read(a->inotify_fd, buf, sizeof(buf)) > 0)
		any = true;
	/* Other files in that directory may change all the time: what is to happen soon is not put off by them. */
	if (any && !a->reload_at)
		a->reload_at = vst_acting_now() + RELOAD_WAIT_S;
}

/* 0 and the text; -errno. */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	text = malloc(VST_POLICY_MAX_BYTES + 1);
	if (!text)
		return -ENOMEM;
	while ((got = read(fd, text + n, VST_POLICY_MAX_BYTES + 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return -errno;
	if (n > VST_POLICY_MAX_BYTES)
		return -EFBIG;
	*ret = realloc(text, n + 1) ?: text;
	(void)TAKE_PTR(text);
	(*ret)[n] = 0;
	*ret_len = n;
	return 0;
}

static char *errors_text(const struct vst_policy_errors *errors)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	vst_policy_errors_print(errors, f);
	fclose(f);
	while (text && len && text[len - 1] == '\n')
		text[--len] = 0;
	return text;
}

static int read_import(void *arg, const char *path, char **ret_text, size_t *ret_len)
{
	return read_file(path, ret_text, ret_len);
}

int vst_acting_parse(const char *text, size_t len, const char *name, struct vst_policy **ret, char **ret_why)
{
	struct vst_policy_errors errors;
	int err = vst_policy_parse(text, len, name, read_import, NULL, ret, &errors);

	if (err)
		*ret_why = err == -ENOMEM ? strdup("out of memory") : errors_text(&errors);
	vst_policy_errors_clear(&errors);
	return err;
}

int vst_acting_use(struct vst_acting *a, struct vst_policy *policy, const char *name)
{
	struct vst_policy_box *box = policy ? vst_policy_box_new(policy) : NULL, *old = a->policy;
	int err = policy && !box ? -ENOMEM : vst_engine_set_policy(a->engine, policy);

	if (err) { /* the engine still refers to the rules of the old one */
		vst_policy_box_unref(box);
		return err;
	}
	a->policy = box;
	vst_policy_box_unref(old);
	free(a->file);
	a->file = strdup(name);
	free(a->error);
	a->error = NULL;
	a->loaded = vst_acting_unix();
	a->reverted = !policy;
	a->changed = true;
	return 0;
}

static void tell_bad(struct vst_acting *a, const char *why)
{
	char *first_line = strndup(why, strcspn(why, "\n"));

	free(a->error);
	a->error = strdup(why);
	a->error_time = vst_acting_unix();
	a->changed = true;
	vst_acting_log_text(a, "policy", "not in force: %s", why);
	vst_err("bad policy: %s; %s", first_line ? first_line : why,
		a->policy ? "the one before stays in force" : "there is no policy in force");
	free(first_line);
}

int vst_acting_use_text(struct vst_acting *a, const char *text, size_t len, const char *name, char **ret_why)
{
	struct vst_policy *policy = NULL;
	size_t n_rules;
	int err = vst_acting_parse(text, len, name, &policy, ret_why);

	if (err)
		return err;
	n_rules = policy->n_rules;
	err = vst_acting_use(a, policy, name);
	if (err) {
		*ret_why = strdup("out of memory");
		return err;
	}
	vst_info("policy %s: %zu rule%s in force%s", name, n_rules, n_rules == 1 ? "" : "s",
		 a->opts.act ? "" : ", planned only (the agent runs without --act)");
	vst_acting_log_text(a, "policy", "%s is in force: %zu rules", name, n_rules);
	return 0;
}

void vst_acting_load(struct vst_acting *a, bool force)
{
	_cleanup_free_ char *text = NULL, *why = NULL;
	size_t len = 0;
	int err;

	a->reload_at = 0;
	if (!a->opts.policy)
		return;
	err = read_file(a->opts.policy, &text, &len);
	if (err && asprintf(&why, "%s: cannot be read: %s", a->opts.policy,
			    err == -EINVAL ? "it is not a file" : strerror(-err)) < 0)
		why = NULL;
	if (err) {
		if (!a->error || !why || strcmp(a->error, why) != 0)
			tell_bad(a, why ? why : strerror(-err));
		free(TAKE_PTR(a->content)); /* if it comes back unchanged, that is a change */
		return;
	}
	if (!force && a->content && len == a->content_len && !memcmp(text, a->content, len))
		return;
	err = vst_acting_use_text(a, text, len, a->opts.policy, &why);
	if (err)
		tell_bad(a, why ? why : "out of memory");
	free(a->content);
	/* not strdup(): the file may have a NUL. Without memory the same text is tried again at the next event. */
	a->content = err == -ENOMEM ? NULL : TAKE_PTR(text);
	a->content_len = len;
}

bool vst_acting_wants_fsync(const struct vst_acting *a)
{
	for (size_t i = 0; a->policy && i < a->policy->policy->n_rules; i++) {
		const struct vst_rule *rule = &a->policy->policy->rule[i];

		if (rule->wants & 1U << VST_ATTR_PROTECT && rule->protect_us[VST_OBJECTIVE_P99_FSYNC])
			return true;
		for (size_t k = 0; k < rule->n_when; k++)
			if (!rule->when[k].is_alarm && rule->when[k].metric == VST_METRIC_P99_FSYNC)
				return true;
	}
	return false;
}
