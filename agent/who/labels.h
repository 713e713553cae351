/* SPDX-License-Identifier: GPL-2.0-only */
/* Labels and annotations that a runtime keeps of a container, bounded: users write them. */
#ifndef VST_LABELS_H
#define VST_LABELS_H

#include <stddef.h>

#include <jansson.h>

struct vst_label;

#define VST_LABELS_MAX 32	 /* of one container */
#define VST_LABELS_BYTES 4096	 /* keys and values together */
#define VST_LABEL_VALUE_MAX 1024 /* longer ones are left out: half a value is a wrong one */

struct vst_labels {
	struct vst_label *label;
	size_t n, bytes;
};

/*
 * Adds the string members of a JSON object. Keys that say what a policy needs (blockio classes) come before all others, so
 * that a user's many labels do not crowd them out; what a runtime notes for itself is left out. NULL: nothing.
 */
void vst_labels_take(struct vst_labels *labels, const json_t *object);

void vst_labels_free(struct vst_label *label, size_t n);

#endif /* VST_LABELS_H */
