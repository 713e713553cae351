/* SPDX-License-Identifier: GPL-2.0-only */
/* The view of actions: what the policy has changed, or would change if vstord ran with --act. */
#include <stddef.h>
#include "view.h"
#include "wire.h"

#define AT(field) offsetof(struct vst_line, field)

static const struct vst_column columns[] = {
	{ "TARGET", "container", VST_COLUMN_NAME, AT(container), 0, 0, "the container, or the cgroup" },
	{ "KNOB", "knob", VST_COLUMN_NAME, AT(knob), 24, 1, "the attribute that is changed, and the disk" },
	{ "OLD", "old", VST_COLUMN_TEXT, AT(old), 9, 4, "its value before vstor ever changed it" },
	{ "NEW", "new", VST_COLUMN_TEXT, AT(new), 9, 2, "what it has or should have" },
	{ "STATE", "state", VST_COLUMN_TEXT, AT(state), 8, 3,
	  "planned: not written; applied; conflict: somebody else changed it; refused: why is in vstorctl policy "
	  "status" },
	{ "SINCE", "since_us", VST_COLUMN_US, AT(since), 6, 7, "how long ago it was written" },
	{ "RULE", "rule", VST_COLUMN_OTHER, AT(rule), 12, 5, "the rule that asks for it" },
	{ "WHY", "why", VST_COLUMN_OTHER, AT(why), 24, 6, "the reason, as a sentence" },
};

static void fill_action(struct vst_frame *f, const json_t *row)
{
	struct vst_line *l = vst_frame_line(f);
	const char *container = vst_wire_text(row, "container"), *key = vst_wire_text(row, "key");
	const char *attribute = vst_wire_text(row, "attribute"), *text = vst_wire_text(row, "text");
	double since = json_number_value(json_object_get(row, "since"));
	char knob[128];

	snprintf(knob, sizeof(knob), "%.80s%s%.40s", attribute, *key ? " " : "", key);
	l->container = vst_frame_text(f, *container ? container : vst_wire_text(row, "target"));
	l->cgroup = vst_frame_text(f, vst_wire_text(row, "target"));
	l->knob = vst_frame_text(f, knob);
	l->old = vst_frame_text(f, vst_wire_text(row, "old"));
	l->new = vst_frame_text(f, vst_wire_text(row, "new"));
	l->state = vst_frame_text(f, vst_wire_text(row, "state"));
	l->rule = vst_frame_text(f, vst_wire_text(row, "rule"));
	l->why = vst_frame_text(f, *text ? text : vst_wire_text(row, "why"));
	if (since > 0)
		l->since = f->time > since ? (f->time - since) * 1e6 : 0;
}

void vst_frame_actions(struct vst_frame *f, const struct vst_sample *s)
{
	const char *number;
	json_t *row;

	json_object_foreach((json_t *)s->knobs, number, row) fill_action(f, row);
}

const struct vst_view vst_view_actions = {
	.name = "actions",
	.summary = "what the policy changes, from what to what, and why",
	.feeds = VST_FEED(IO) | VST_FEED(POLICY),
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(columns[0]),
	.sort = "TARGET",
	.fill = vst_frame_actions,
	.nothing = "no policy asks for anything: vstorctl policy status says why",
};
