/* SPDX-License-Identifier: GPL-2.0-only */
/* Parts of sentences. Names come from others, so all of them are escaped here. Pure. */
#ifndef VSTOR_CTL_PHRASE_H
#define VSTOR_CTL_PHRASE_H

#include "waits.h"

void vst_phrase_name(FILE *out, const char *name);

/* What is waited for: one of the phrases of w's resource with its name in it, and the file or disk if that is known. */
void vst_phrase_resource(FILE *out, const struct vst_wait *w, const char *phrase);

/* "/dir/x (inode 12 on vda1)" without what is in brackets. The caller frees. */
char *vst_phrase_object(const char *object);

/* Milliseconds: "706", "2.4", "<0.1" */
void vst_phrase_ms(FILE *out, double ms);
/* How long something has been going on: "0.4 s", "11 s", "3m20s". */
void vst_phrase_age(FILE *out, double us);

#endif /* VSTOR_CTL_PHRASE_H */
