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

const char *vst_feeds_begin(struct vst_feeds *f, enum vst_feed feed)
{
	f->asked = feed;
	vst_mounts_free(f->mounts);
	f->mounts = NULL;
	if (feed == VST_FEED_IO)
		return vst_rows_begin(f->rows);
	vst_growth_begin(f->growth[feed]);
	return feeds[feed].path;
}

int vst_feeds_line(void *arg, json_t *line)
{
	struct vst_feeds *f = arg;

	if (f->asked == VST_FEED_IO)
		return vst_rows_line(f->rows, line);
	vst_mounts_line(&f->mounts, line);
	return vst_growth_line(f->growth[f->asked], line);
}

int vst_feeds_commit(struct vst_feeds *f, enum vst_commit *ret)
{
	int err = f->asked == VST_FEED_IO ? vst_rows_commit(f->rows, ret) : vst_growth_commit(f->growth[f->asked], ret);

	if (!err && *ret == VST_COMMIT_SAMPLE)
		f->sampled |= 1U << f->asked;
	else if (!err)
		f->sampled &= ~(1U << f->asked);
	return err;
}

void vst_feeds_forget(struct vst_feeds *f, unsigned int which)
{
	f->sampled &= ~which;
	for (int i = VST_FEED_IO + 1; i < VST_FEED__N; i++)
		if (which & 1U << i)
			vst_growth_forget(f->growth[i]);
	/* rows are told by the agent's sequence of snapshots, and go on where they were */
}
