/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors of a policy file, and the known name that a misspelt one is closest to. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rules_priv.h"

#define NEAREST_MAX 40 /* bytes of a name that are compared */

/* Control characters could change what a terminal shows. In UTF-8, U+0080 to U+009F begin with 0xc2. */
static bool is_control(const char *s)
{
	unsigned char c = s[0];

	return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

struct vst_quoted vst_quote(const char *text, size_t len)
{
	struct vst_quoted q;
	size_t n = 0, i;

	q.text[n++] = '\'';
	/* room for a character of 4 bytes, the dots and the quote */
	for (i = 0; i < len && n < sizeof(q.text) - 10; i++) {
		if (is_control(text + i)) {
			q.text[n++] = '?';
			i += (unsigned char)text[i] == 0xc2;
		} else {
			q.text[n++] = text[i];
		}
	}
	if (i < len) {
		/* do not end inside a character */
		while (n > 1 && ((unsigned char)text[i] & 0xc0) == 0x80) {
			i--;
			n--;
		}
		memcpy(q.text + n, "...", 3);
		n += 3;
	}
	q.text[n++] = '\'';
	q.text[n] = 0;
	return q;
}

/* The policy's errors in the order of its lines, then those of imported files. `a` is one of the policy's. */
static bool is_before(const struct vst_policy_error *a, const struct vst_policy_error *b)
{
	if (strcmp(a->file, b->file) != 0)
		return true;
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void vst_parse_error_at(struct vst_parse *p, unsigned int line, unsigned int column, const char *fmt, ...)
{
	struct vst_policy_errors *e = p->errors;
	struct vst_policy_error new = { .line = line, .column = column };
	size_t i = e->n;
	va_list ap;

	e->total++;
	if (e->n == VST_POLICY_MAX_ERRORS)
		return;
	va_start(ap, fmt);
	if (vasprintf(&new.text, fmt, ap) < 0)
		new.text = NULL;
	va_end(ap);
	new.file = strdup(p->file);
	if (!new.text || !new.file) {
		free(new.text);
		free(new.file);
		p->no_memory = true;
		return;
	}
	while (i && !p->imported && is_before(&new, &e->item[i - 1])) {
		e->item[i] = e->item[i - 1];
		i--;
	}
	e->item[i] = new;
	e->n++;
}

void vst_policy_errors_print(const struct vst_policy_errors *errors, FILE *out)
{
	for (size_t i = 0; i < errors->n; i++) {
		const struct vst_policy_error *e = &errors->item[i];

		if (e->line)
			fprintf(out, "%s:%u:%u: %s\n", e->file, e->line, e->column, e->text);
		else
			fprintf(out, "%s: %s\n", e->file, e->text);
	}
	if (errors->total > errors->n)
		fprintf(out, "... and %zu more errors\n", errors->total - errors->n);
}

void vst_policy_errors_clear(struct vst_policy_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		free(errors->item[i].file);
		free(errors->item[i].text);
	}
	memset(errors, 0, sizeof(*errors));
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

/* How many letters have to be inserted, removed, replaced or swapped with their neighbour. Case does not count. */
static unsigned int distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned int row[3][NEAREST_MAX + 1];

	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *now = row[i % 3], *before = row[(i + 2) % 3], *before2 = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

			now[j] = min3(before[j] + 1, now[j - 1] + 1, before[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) && before2[j - 2] + 1 < now[j])
				now[j] = before2[j - 2] + 1;
		}
	}
	return row[n % 3][m];
}

/* The kernel's name of a knob ends in ours: io.weight, blkio.bfq.weight. */
static bool is_longer_name(const char *text, size_t len, const char *name)
{
	size_t m = strlen(name);

	return len > m + 1 && m >= 3 && !memcmp(text + len - m, name, m) && text[len - m - 1] == '.';
}

const char *vst_nearest(const char *text, size_t len, vst_name_fn name, unsigned int n, bool *ret_close)
{
	const char *best = NULL;
	unsigned int least = 0;

	*ret_close = false;
	if (len > NEAREST_MAX)
		len = NEAREST_MAX;
	for (unsigned int i = 0; i < n; i++) {
		size_t m = strnlen(name(i), NEAREST_MAX);
		unsigned int d = is_longer_name(text, len, name(i)) ? 0 : distance(text, len, name(i), m);

		if (best && d >= least)
			continue;
		best = name(i);
		least = d;
		*ret_close = d <= 1 + m / 4 && d < m;
	}
	return best;
}

const char *vst_nearest_hint(const char *text, size_t len, vst_name_fn name, unsigned int n, char *buf, size_t size)
{
	bool close;
	const char *nearest = vst_nearest(text, len, name, n, &close);
	size_t used;

	if (close) {
		snprintf(buf, size, "did you mean '%s'?", nearest);
		return buf;
	}
	used = snprintf(buf, size, "write one of ");
	for (unsigned int i = 0; i < n && used < size; i++)
		used += snprintf(buf + used, size - used, "%s%s", i ? ", " : "", name(i));
	return buf;
}

int vst_lookup(const char *text, size_t len, vst_name_fn name, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (strlen(name(i)) == len && !memcmp(name(i), text, len))
			return i;
	return -1;
}
