/* SPDX-License-Identifier: GPL-2.0-only */
#include "feeds.h"

static const struct {
	const char *path, *type;
} feeds[] = {
#define X(e, p, t) { p, t },
	VST_FEEDS(X)
#undef X
};

void vst_feeds_open(struct vst_feeds *f)
{
	memset(f, 0, sizeof(*f));
	f->rows = vst_rows_new();
	for (int i = VST_FEED_IO + 1; i < VST_FEED__N; i++)
		f->growth[i] = vst_growth_new(feeds[i].type);
}

void vst_feeds_close(struct vst_feeds *f)
{
	vst_rows_free(f->rows);
	for (int i = 0; i < VST_FEED__N; i++)
		vst_growth_free(f->growth[i]);
	vst_mounts_free(f->mounts);
}

const char *vst_feeds_begin(struct vst_feeds *f, enum vst_feed feed, double max_age, bool names)
{
	const char *path = feeds[feed].path;

	f->asked = feed;
	vst_mounts_free(f->mounts);
	f->mounts = NULL;
	if (feed == VST_FEED_IO)
		path = vst_rows_begin(f->rows);
	else
		vst_growth_begin(f->growth[feed]);
	snprintf(f->path, sizeof(f->path), "%s%cmax_age=%g%s", path, strchr(path, '?') ? '&' : '?', max_age,
		 names && feed != VST_FEED_IO ? "&names=1" : "");
	return f->path;
}

bool vst_feeds_refused(struct vst_feeds *f, int rc)
{
	if (rc != VST_EXIT_UNSUPPORTED || !(VST_FEEDS_OPTIONAL & 1U << f->asked))
		return false;
	f->absent |= 1U << f->asked;
	f->sampled |= 1U << f->asked;
	return true;
}

struct vst_waits *vst_feeds_waits(const struct vst_feeds *f, enum vst_feed feed)
{
	return f->absent & 1U << feed ? NULL : vst_waits_new(f->growth[feed]);
}

int vst_feeds_line(void *arg, json_t *line)
{
	struct vst_feeds *f = arg;

	if (f->asked == VST_FEED_IO)
		return vst_rows_line(f->rows, line);
	vst_mounts_line(&f->mounts, line);
	return vst_growth_line(f->growth[f->asked], line);
}

int vst_feeds_commit(struct vst_feeds *f, enum vst_commit_result *ret)
{
	int err = f->asked == VST_FEED_IO ? vst_rows_commit(f->rows, ret) : vst_growth_commit(f->growth[f->asked], ret);

	if (err)
		return err;
	if (*ret == VST_COMMIT_RESTARTED) { /* the new one may have more */
		f->sampled &= ~f->absent;
		f->absent = 0;
	}
	if (*ret == VST_COMMIT_SAMPLE)
		f->sampled |= 1U << f->asked;
	else
		f->sampled &= ~(1U << f->asked);
	return 0;
}

void vst_feeds_forget(struct vst_feeds *f, unsigned int which)
{
	f->sampled &= ~which;
	f->absent &= ~which;
	for (int i = VST_FEED_IO + 1; i < VST_FEED__N; i++)
		if (which & 1U << i)
			vst_growth_forget(f->growth[i]);
	/* rows of I/O continue where they were: the agent's sequence number says what changed since */
}
