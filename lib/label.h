/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VST_LABEL_H
#define VST_LABEL_H

/* One key = "value" that a runtime knows of a container: a label or an annotation. */
struct vst_label {
	char *key, *value;
};

#endif /* VST_LABEL_H */
