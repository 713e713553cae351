/* SPDX-License-Identifier: GPL-2.0-only */
#include <math.h>
#include <wchar.h>
#include <wctype.h>
#include "format.h"

const char *vst_units_name(enum vst_units units)
{
	static const char *const names[] = {
#define X(e, n) n,
		VST_UNITS(X)
#undef X
	};
	return names[units];
}

int vst_units_find(const char *name)
{
	for (int u = 0; u < VST_UNITS__N; u++)
		if (!strcasecmp(name, vst_units_name((enum vst_units)u)))
			return u;
	return -1;
}

/* Three digits and a letter: 1.2K, 12.3K, 123K. */
static void scaled(char buf[VST_CELL], double v, double base)
{
	static const char letters[] = "KMGTPE";
	size_t i = 0;

	for (v /= base; v >= 999.5 && letters[i + 1]; i++)
		v /= base;
	snprintf(buf, VST_CELL, v < 99.95 ? "%.1f%c" : "%.0f%c", v, letters[i]);
}

void vst_format_count(char buf[VST_CELL], double v, enum vst_units units)
{
	if (units == VST_UNITS_HUMAN && v >= 9999.5)
		scaled(buf, v, 1000);
	else if (v > 0 && v < 9.95 && fabs(v - round(v)) > 1e-9)
		snprintf(buf, VST_CELL, "%.1f", v);
	else
		snprintf(buf, VST_CELL, "%.0f", v);
}

void vst_format_bytes(char buf[VST_CELL], double v, enum vst_units units)
{
	if (units == VST_UNITS_KIB)
		snprintf(buf, VST_CELL, "%.1f", v / 1024);
	else if (units == VST_UNITS_HUMAN && v >= 1023.5)
		scaled(buf, v, 1024);
	else
		snprintf(buf, VST_CELL, "%.0f", v);
}

void vst_format_us(char buf[VST_CELL], double us, enum vst_units units)
{
	if (us < 0)
		snprintf(buf, VST_CELL, "-");
	else if (us <= 0)
		snprintf(buf, VST_CELL, "0");
	else if (units != VST_UNITS_HUMAN)
		snprintf(buf, VST_CELL, "%.1f", us);
	else if (us < 1)
		snprintf(buf, VST_CELL, "<1us"); /* bucket 0: no histogram knows more */
	else if (us < 999.5)
		snprintf(buf, VST_CELL, us < 9.95 ? "%.1fus" : "%.0fus", us);
	else if (us < 999.5e3)
		snprintf(buf, VST_CELL, us < 9.995e3 ? "%.2fms" : us < 99.95e3 ? "%.1fms" : "%.0fms", us / 1e3);
	else
		snprintf(buf, VST_CELL, us < 9.995e6 ? "%.2fs" : us < 99.95e6 ? "%.1fs" : "%.0fs", us / 1e6);
}

void vst_format_age(char buf[VST_CELL], double seconds)
{
	unsigned long s = seconds > 0 && seconds < 1e15 ? (unsigned long)seconds : 0;

	if (s < 60)
		snprintf(buf, VST_CELL, "%lus", s);
	else if (s < 3600)
		snprintf(buf, VST_CELL, "%lum%02lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, VST_CELL, "%luh%02lum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, VST_CELL, "%lud%02luh", s / 86400, s / 3600 % 24);
}

char *vst_escape(const char *name)
{
	size_t left = strlen(name), n;
	char *out = vst_alloc(left * 4 + 1), *p = out;
	mbstate_t state = { 0 };
	wchar_t wc;

	while (left) {
		n = mbrtowc(&wc, name, left, &state);
		/* No width, no trust: these are marks that turn the writing direction around, or hide what follows. */
		if (n != (size_t)-1 && n != (size_t)-2 && n && iswprint((wint_t)wc) && wcwidth(wc) > 0) {
			memcpy(p, name, n);
			p += n;
		} else {
			if (n == (size_t)-1 || n == (size_t)-2) {
				memset(&state, 0, sizeof(state));
				n = 1;
			}
			for (size_t i = 0; i < n; i++)
				p += sprintf(p, "\\x%02x", (unsigned char)name[i]);
		}
		name += n;
		left -= n;
	}
	*p = '\0';
	return out;
}

/* The next character of an escaped text: its bytes, and in *cols its columns. 0 at the end. */
static size_t next_char(const char *text, int *cols)
{
	mbstate_t state = { 0 };
	wchar_t wc;
	size_t n = mbrtowc(&wc, text, MB_CUR_MAX, &state);

	if (!*text)
		return 0;
	if (n == (size_t)-1 || n == (size_t)-2) {
		*cols = 1;
		return 1;
	}
	*cols = wcwidth(wc);
	if (*cols < 0)
		*cols = 1;
	return n;
}

int vst_width(const char *text)
{
	int width = 0, cols;
	size_t n;

	for (; (n = next_char(text, &cols)); text += n)
		width += cols;
	return width;
}

/* As many bytes of text as take at most width columns; the columns they take go to *taken. */
static size_t prefix(const char *text, int width, int *taken)
{
	size_t n, bytes = 0;
	int cols;

	*taken = 0;
	while ((n = next_char(text + bytes, &cols)) && *taken + cols <= width) {
		*taken += cols;
		bytes += n;
	}
	return bytes;
}

size_t vst_wrap(const char *text, int width)
{
	int taken;
	size_t n = prefix(text, width < 1 ? 1 : width, &taken), cut = n;

	if (!text[n])
		return n;
	while (cut > n / 2 && text[cut] != ' ')
		cut--;
	return cut > n / 2 ? cut : n;
}

static const char *ellipsis(void)
{
	/* "…" only where it is one character: not in a multibyte locale other than UTF-8 */
	return MB_CUR_MAX > 1 && vst_width("…") == 1 ? "…" : "~";
}

char *vst_clip(const char *text, int width)
{
	int taken;
	size_t len;
	char *out;

	if (vst_width(text) <= width || width < 1)
		return vst_dup(width < 1 ? "" : text);
	len = prefix(text, width - 1, &taken);
	out = vst_alloc(len + strlen(ellipsis()) + 1);
	sprintf(out, "%.*s%s", (int)len, text, ellipsis());
	return out;
}

/* text, longer than width, without its middle. *taken: the columns of the result. */
static char *shorten(const char *text, int width, int *taken)
{
	int total = vst_width(text), head_cols, skipped;
	size_t head, tail;
	char *out;

	if (width < 1) {
		*taken = 0;
		return vst_alloc(1);
	}
	head = prefix(text, (width - 1) / 3, &head_cols);
	/* skip until the rest fits; a wide character may leave one column over */
	tail = prefix(text, total - (width - 1 - head_cols), &skipped);
	if (total - skipped > width - 1 - head_cols) {
		int cols;
		size_t n = next_char(text + tail, &cols);

		tail += n;
		skipped += cols;
	}
	*taken = head_cols + 1 + total - skipped;
	out = vst_alloc(strlen(text) + 8);
	sprintf(out, "%.*s%s%s", (int)head, text, ellipsis(), text + tail);
	return out;
}

char *vst_fit(const char *text, int width, bool right)
{
	int taken = vst_width(text);
	char *body, *out;
	size_t len, fill;

	if (taken > width)
		body = shorten(text, width, &taken);
	else
		body = vst_dup(text);
	len = strlen(body);
	fill = width > taken ? (size_t)(width - taken) : 0;
	out = vst_alloc(len + fill + 1);
	memset(out, ' ', len + fill);
	memcpy(out + (right ? fill : 0), body, len);
	free(body);
	return out;
}

char *vst_fit_name(const char *name, int width)
{
	char *escaped = vst_escape(name), *fit = vst_fit(escaped, width, false);

	free(escaped);
	return fit;
}

void vst_text_open(struct vst_text *t)
{
	t->text = NULL;
	t->out = open_memstream(&t->text, &t->size);
	if (!t->out) {
		vst_error("out of memory");
		exit(VST_EXIT_FAILED);
	}
}

char *vst_text_close(struct vst_text *t)
{
	fclose(t->out);
	return t->text;
}
