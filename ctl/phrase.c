/* SPDX-License-Identifier: GPL-2.0-only */
#include "format.h"
#include "phrase.h"

void vst_phrase_name(FILE *out, const char *name)
{
	char *escaped = vst_escape(name);

	fputs(escaped, out);
	free(escaped);
}

/* The member, and what it is a member of: vfs_inode.i_rwsem. What that is part of is left to the table. */
static const char *short_name(const struct vst_wait *w)
{
	const char *name = w->name, *dot = strrchr(name, '.');

	if (!w->resource->member || !dot)
		return name;
	while (dot > name && dot[-1] != '.')
		dot--;
	return dot;
}

char *vst_phrase_object(const char *object)
{
	char *text = vst_dup(object), *bracket = strrchr(text, '(');

	if (bracket && bracket > text + 1 && bracket[-1] == ' ' && text[strlen(text) - 1] == ')')
		bracket[-1] = '\0';
	return text;
}

/* Does the object say no more than the resource's name? "the frozen file system of loop0" needs no "of file system on loop0". */
static bool is_named_by(const char *object, const struct vst_wait *w)
{
	static const char *const prefixes[] = { "file system on ", "disk " };

	for (size_t i = 0; !w->resource->member && i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(object, prefixes[i], strlen(prefixes[i])))
			return !strcmp(object + strlen(prefixes[i]), w->name);
	return false;
}

void vst_phrase_resource(FILE *out, const struct vst_wait *w, const char *phrase)
{
	const char *name = strstr(phrase, "%s");
	char *object = vst_phrase_object(w->object);

	fprintf(out, "%.*s", (int)(name - phrase), phrase);
	vst_phrase_name(out, short_name(w));
	fputs(name + strlen("%s"), out);
	if (*object && !is_named_by(object, w)) {
		fputs(" of ", out);
		vst_phrase_name(out, object);
	}
	free(object);
}

void vst_phrase_ms(FILE *out, double ms)
{
	if (ms < 0.05)
		fputs("<0.1", out);
	else
		fprintf(out, ms < 9.95 ? "%.1f" : "%.0f", ms);
}

void vst_phrase_age(FILE *out, double us)
{
	char age[VST_CELL];

	if (us < 120e6) {
		fprintf(out, us < 1.95e6 ? "%.1f s" : "%.0f s", us / 1e6);
		return;
	}
	vst_format_age(age, us / 1e6);
	fputs(age, out);
}
