/* SPDX-License-Identifier: GPL-2.0-only */
/* Quantities with units: durations, rates and numbers, as text and back. */
#include <errno.h>
#include <string.h>

#include "policy/rules_priv.h"

#define LARGEST 9007199254740992.0 /* 2^53: up to here a double holds every integer */
#define DIGITS_MAX 15

/*
 * Every suffix that is understood, the larger first. X(unit, "suffix", factor, is used when a value is written).
 * K, M and G are powers of 1000 and Ki, Mi and Gi of 1024, as for Kubernetes and systemd's IOReadBandwidthMax=.
 */
#define SUFFIXES(X)                                                                                                    \
	X(US, "h", 3600e6, true)                                                                                       \
	X(US, "m", 60e6, true)                                                                                         \
	X(US, "min", 60e6, false)                                                                                      \
	X(US, "s", 1e6, true)                                                                                          \
	X(US, "sec", 1e6, false)                                                                                       \
	X(US, "ms", 1e3, true)                                                                                         \
	X(US, "us", 1, true)                                                                                           \
	X(US, "\xc2\xb5s", 1, false) /* the micro sign */                                                              \
	X(US, "\xce\xbcs", 1, false) /* the Greek letter */                                                            \
	X(US_PER_S, "s/s", 1e6, true)                                                                                  \
	X(US_PER_S, "ms/s", 1e3, true)                                                                                 \
	X(US_PER_S, "us/s", 1, true)                                                                                   \
	X(BYTES_PER_S, "TiB/s", 1099511627776.0, true)                                                                 \
	X(BYTES_PER_S, "TB/s", 1e12, true)                                                                             \
	X(BYTES_PER_S, "GiB/s", 1073741824.0, true)                                                                    \
	X(BYTES_PER_S, "GB/s", 1e9, true)                                                                              \
	X(BYTES_PER_S, "MiB/s", 1048576.0, true)                                                                       \
	X(BYTES_PER_S, "MB/s", 1e6, true)                                                                              \
	X(BYTES_PER_S, "KiB/s", 1024.0, true)                                                                          \
	X(BYTES_PER_S, "kB/s", 1e3, true)                                                                              \
	X(BYTES_PER_S, "KB/s", 1e3, false)                                                                             \
	X(BYTES_PER_S, "B/s", 1, true)                                                                                 \
	X(IOPS, "M/s", 1e6, false)                                                                                     \
	X(IOPS, "k/s", 1e3, false)                                                                                     \
	X(IOPS, "K/s", 1e3, false)                                                                                     \
	X(IOPS, "/s", 1, true)                                                                                         \
	X(NUMBER, "", 1, true)

static const struct suffix {
	enum vst_unit unit;
	const char *text;
	double factor;
	bool shown;
} suffixes[] = {
#define X(u, t, f, s) { VST_UNIT_##u, t, f, s },
	SUFFIXES(X)
#undef X
};

static bool is_text(const char *text, size_t len, const char *other)
{
	return strlen(other) == len && !memcmp(text, other, len);
}

/* "20MiB/s" may also be written 20MiB, 20Mi and, for operations, 500 and 500iops. */
static bool is_suffix(const char *text, size_t len, const struct suffix *s)
{
	size_t n = strlen(s->text);

	if (is_text(text, len, s->text))
		return true;
	if (s->unit != VST_UNIT_BYTES_PER_S && s->unit != VST_UNIT_IOPS)
		return false;
	n -= 2; /* without "/s" */
	if (len == n && !memcmp(text, s->text, n))
		return true;
	if (s->unit == VST_UNIT_BYTES_PER_S) /* without "B" too, except where nothing would be left */
		return n > 1 && len == n - 1 && !memcmp(text, s->text, n - 1);
	return len == n + 4 && !memcmp(text, s->text, n) && !memcmp(text + n, "iops", 4);
}

static size_t count_spaces(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] == ' ')
		n++;
	return n;
}

/* A decimal number without sign or exponent. Its length, or 0. Not strtod(), which depends on the locale. */
static size_t parse_number(const char *text, size_t len, double *ret_digits, double *ret_divisor)
{
	double digits = 0, divisor = 1;
	size_t i, n = 0, dot = 0;

	for (i = 0; i < len; i++) {
		if (text[i] == '.' && !dot && n) {
			dot = i + 1;
			continue;
		}
		if (text[i] < '0' || text[i] > '9' || ++n > DIGITS_MAX)
			break;
		digits = digits * 10 + (text[i] - '0');
		divisor *= dot ? 10 : 1;
	}
	if (!n || n > DIGITS_MAX || dot == i)
		return 0;
	*ret_digits = digits;
	*ret_divisor = divisor;
	return i;
}

/* One number and its suffix. The length, or -errno. */
static int parse_part(const char *text, size_t len, enum vst_unit unit, double *ret)
{
	double digits, divisor;
	size_t n = parse_number(text, len, &digits, &divisor), end;

	if (!n)
		return -EINVAL;
	n += count_spaces(text + n, len - n);
	/* the suffix of a duration ends where its next part begins: 1m30s */
	for (end = n; end < len; end++)
		if (unit == VST_UNIT_US && (text[end] == ' ' || (text[end] >= '0' && text[end] <= '9')))
			break;
	for (size_t i = 0; i < VST_ARRAY_SIZE(suffixes); i++) {
		if (suffixes[i].unit != unit || !is_suffix(text + n, end - n, &suffixes[i]))
			continue;
		*ret = digits * suffixes[i].factor / divisor;
		return end;
	}
	if (n != len)
		return -EINVAL;
	*ret = 0;
	return digits > 0 ? -ENODATA : (int)len; /* 0 needs no unit */
}

int vst_quantity_parse(const char *text, size_t len, enum vst_unit unit, double *ret)
{
	double sum = 0, part;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len;) {
		int n = parse_part(text + i, len - i, unit, &part);

		if (n < 0)
			return n;
		sum += part;
		i += n;
		if (i < len)
			i += count_spaces(text + i, len - i);
		if (sum > LARGEST)
			return -ERANGE;
	}
	*ret = sum;
	return 0;
}

/* At most three decimals, without the zeros at the end. */
static int print_number(double value, const char *suffix, char *buf, size_t size)
{
	char digits[64];
	int n = snprintf(digits, sizeof(digits), "%.3f", value);

	while (n > 0 && digits[n - 1] == '0')
		digits[--n] = 0;
	if (n > 0 && (digits[n - 1] < '0' || digits[n - 1] > '9'))
		digits[--n] = 0;
	return snprintf(buf, size, "%s%s", digits, suffix);
}

/* The largest unit in which three decimals say it all; otherwise the smallest. */
int vst_quantity_text(double value, enum vst_unit unit, char *buf, size_t size)
{
	const struct suffix *s = NULL;

	for (size_t i = 0; i < VST_ARRAY_SIZE(suffixes); i++) {
		double scaled = value / suffixes[i].factor, thousandths = scaled * 1000;

		if (suffixes[i].unit != unit || !suffixes[i].shown)
			continue;
		s = &suffixes[i];
		if (value > 0 && value <= LARGEST && scaled >= 1 && thousandths <= LARGEST &&
		    thousandths == (double)(uint64_t)thousandths &&
		    /* 90s rather than 1.5m */
		    (suffixes[i].factor < 60e6 || unit != VST_UNIT_US || scaled == (double)(uint64_t)scaled))
			break;
	}
	return print_number(s ? value / s->factor : value, s ? s->text : "", buf, size);
}
