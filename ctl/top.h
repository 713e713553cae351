/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of `top` share: state and requests (top.c), drawing (top_screen.c), keys (top_keys.c). */
#ifndef VSTOR_CTL_TOP_H
#define VSTOR_CTL_TOP_H

#include "client.h"
#include "cost.h"
#include "replay.h"
#include "view.h"

enum vst_top_mode { VST_TOP_TABLE, VST_TOP_HELP, VST_TOP_FILTER, VST_TOP_DELAY, VST_TOP_AT, VST_TOP_EXPLAIN };

struct vst_top {
	const char *socket;
	struct vst_client *client;
	struct vst_replayer *replay; /* NULL: the agent is shown */
	bool playing;		     /* the recording goes on by itself */
	struct vst_feeds feeds;
	struct vst_look look;
	int view; /* look's, in vst_views */
	struct {
		int sort;
		bool reverse;
	} kept[VST_VIEW__N];		       /* how each view was sorted when it was left */
	double delay;			       /* seconds from frame to frame */
	struct vst_frame *frames[VST_VIEW__N]; /* of the last sample; NULL: none */
	bool paused;			       /* the frames stay */
	unsigned int to_ask;		       /* feeds, after the request under way */
	double asked;			       /* when that one began, vst_now() time; 0: there is none */
	struct vst_cost cost;
	bool asking_cost;  /* the request under way is for that */
	char trouble[512]; /* "": the agent answers */
	double heard;	   /* when the agent last answered, vst_now() time */
	enum vst_top_mode mode;
	char input[sizeof(((struct vst_look *)0)->filter)]; /* being typed */
	const char *hint;				    /* about the last key; NULL: nothing */
	size_t scroll;					    /* lines above the first that is shown */
	size_t page;					    /* lines that are shown */
	bool selecting, moved;				    /* a line is selected; the user has just moved that */
	size_t selected;				    /* that line */
	char *chosen_name, *chosen_cgroup, *chosen_device;  /* whom it is about; the first line if none is selected */
	bool quit;
};

/* Shows another view, and asks at once for the feeds that it needs. */
void vst_top_view(struct vst_top *top, int view);

/* Of a recording: by so many frames, or to a moment as vst_moment_parse() takes it. What went wrong is in top->hint. */
void vst_top_step(struct vst_top *top, int frames);
void vst_top_jump(struct vst_top *top, const char *at);

/* top_explain.c: the i-th sentence about the chosen container in the last interval; NULL: no more. The caller frees all of them. */
char **vst_top_explain(const struct vst_top *top, size_t *ret_n);
/* Take over the terminal. 0, or an exit code having said why. */
int vst_screen_open(void);
/* Give it back as it was. */
void vst_screen_close(void);
void vst_screen_draw(struct vst_top *top);
/* The terminal has another size. */
void vst_screen_resize(void);
/* All keys that are waiting; top->quit if it is to end. */
void vst_screen_keys(struct vst_top *top);
/* The keys, for help. The i-th line, NULL: no more. */
const char *vst_screen_key_help(size_t i);
#endif /* VSTOR_CTL_TOP_H */
