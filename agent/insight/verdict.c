// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/insight/verdict.h"

#define NOTHING (-1)
#define NOT_RANDOM (-2)

/* How files begin. Order does not matter: no two begin alike. */
static const struct head {
	int pattern; /* NOTHING: media, which only looks random; NOT_RANDOM: what does not, unless parts of it are encrypted */
	unsigned int at, len;
	const char *bytes;
	const char *what;
} heads[] = {
	{ VST_PATTERN_COMPRESS, 0, 3, "\x1f\x8b\x08", "gzip" },
	{ VST_PATTERN_COMPRESS, 0, 4, "\x28\xb5\x2f\xfd", "zstd" },
	{ VST_PATTERN_COMPRESS, 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "xz" },
	{ VST_PATTERN_COMPRESS, 0, 3, "BZh", "bzip2" },
	{ VST_PATTERN_COMPRESS, 0, 4, "\x04\x22\x4d\x18", "lz4" },
	{ VST_PATTERN_COMPRESS, 0, 4, "PK\x03\x04", "zip" },
	{ VST_PATTERN_COMPRESS, 0, 6, "7z\xbc\xaf\x27\x1c", "7z" },
	{ VST_PATTERN_COMPRESS, 0, 4, "PACK", "a git pack" },
	{ VST_PATTERN_COMPRESS, 0, 2, "\x78\x01", "zlib" },
	{ VST_PATTERN_COMPRESS, 0, 2, "\x78\x9c", "zlib" },
	{ VST_PATTERN_ENCRYPT, 0, 8, "Salted__", "openssl enc" },
	{ VST_PATTERN_ENCRYPT, 0, 16, "age-encryption.o", "age" },
	{ VST_PATTERN_ENCRYPT, 0, 3, "\x8c\x0d\x04", "gpg, by a passphrase" },
	{ VST_PATTERN_ENCRYPT, 0, 2, "\x85\x01", "gpg, for a key" },
	{ VST_PATTERN_ENCRYPT, 0, 2, "\x85\x02", "gpg, for a key" },
	{ NOTHING, 0, 3, "\xff\xd8\xff", "jpeg" },
	{ NOTHING, 0, 4, "\x89PNG", "png" },
	{ NOTHING, 0, 4, "RIFF", "webp, wav or avi" },
	{ NOTHING, 4, 4, "ftyp", "mp4" },
	{ NOTHING, 0, 4, "\x1a\x45\xdf\xa3", "matroska" },
	{ NOTHING, 0, 4, "OggS", "ogg" },
	{ NOTHING, 0, 4, "fLaC", "flac" },
	{ NOTHING, 0, 3, "ID3", "mp3" },
	{ NOT_RANDOM, 0, 4, "SQLi", "sqlite" },
	{ NOT_RANDOM, 0, 4,
	  "\x7f"
	  "ELF",
	  "a program" },
};

/* brotli has no head of its own, and its bytes are as random as those of a cipher: the name has to tell. */
static const char *const compressed_names[] = { ".br", ".lzma" };

static const struct head *head_of(const struct vst_file *f)
{
	for (size_t i = 0; f->has_head && i < sizeof(heads) / sizeof(heads[0]); i++)
		if (!memcmp((const char *)f->head + heads[i].at, heads[i].bytes, heads[i].len))
			return &heads[i];
	return NULL;
}

static bool is_named_compressed(const struct vst_file *f)
{
	const char *dot = strrchr(f->name.path[0], '.');

	for (size_t i = 0; dot && i < sizeof(compressed_names) / sizeof(compressed_names[0]); i++)
		if (!strcmp(dot, compressed_names[i]))
			return true;
	return false;
}

double vst_verdict_distance(const __u32 count[256])
{
	double expected, chi = 0, d;
	__u32 sum = 0;

	for (int i = 0; i < 256; i++)
		sum += count[i];
	if (!sum)
		return 0;
	expected = (double)sum / 256;
	for (int i = 0; i < 256; i++) {
		d = count[i] - expected;
		chi += d * d / expected;
	}
	return (chi - 255) / sqrt(2 * 255);
}

__u32 vst_verdict_every(double writes_per_second)
{
	return writes_per_second > VST_SAMPLES_PER_SECOND ? (__u32)ceil(writes_per_second / VST_SAMPLES_PER_SECOND) : 1;
}

__u32 vst_verdict_allow(__u32 left, double per_second, double seconds)
{
	return (__u32)fmin(left + per_second * fmax(seconds, 0), per_second * fmax(seconds, 2));
}

static void set(struct vst_file_verdict *v, int pattern, double confidence)
{
	v->pattern = pattern;
	v->confidence = fmin(confidence, 0.99);
}

/* At least three comparisons, nearly all of them equal. */
static bool is_copy(const struct vst_file *f, double observed, struct vst_file_verdict *v)
{
	const __u32 compared = f->matches + f->differs;
	int len;

	if (f->matches < 3 || f->matches < 0.9 * compared)
		return false;
	set(v, VST_PATTERN_COPY, (f->matches + 1.0) / (compared + 2.0));
	len = snprintf(v->evidence, sizeof(v->evidence), "%u of %u pages that were compared are those of the source%s",
		       f->matches, compared, f->in_kernel ? "; the kernel copied them" : "");
	if (observed < 1)
		snprintf(v->evidence + len, sizeof(v->evidence) - (size_t)len, " (looked at for %.0f %% of the time)",
			 observed * 100);
	return true;
}

/* Every other block, say: that is faster than to encrypt all, and makes a file as useless. */
static bool is_encrypted_in_parts(const struct vst_file *f, double share, double distance, struct vst_file_verdict *v)
{
	if (share < 0.2 || share >= 0.9 || f->high < 16 || f->low < 16 || distance >= 3)
		return false;
	set(v, VST_PATTERN_ENCRYPT, 0.8);
	snprintf(v->evidence, sizeof(v->evidence),
		 "parts of the file look random, others do not: %u and %u of %u "
		 "samples",
		 f->high, f->low, f->chunks);
	return true;
}

/* Without a head that tells: do the bytes look random, and all of them? */
static void by_bytes(const struct vst_file *f, const struct head *head, struct vst_file_verdict *v)
{
	double share = (double)f->high / f->chunks, distance;
	__u32 count[256];

	for (int i = 0; i < 256; i++)
		count[i] = f->count[i];
	distance = vst_verdict_distance(count);
	if (f->chunks < 4 || f->high < 4 || is_encrypted_in_parts(f, share, distance, v) || head)
		return;
	if (share >= 0.9 && is_named_compressed(f)) {
		set(v, VST_PATTERN_COMPRESS, 0.9);
		snprintf(v->evidence, sizeof(v->evidence),
			 "%u of %u samples look random, and the name ends like a "
			 "compressed file's",
			 f->high, f->chunks);
	} else if (share >= 0.9 && distance >= VST_RANDOM_WITHIN) {
		set(v, VST_PATTERN_COMPRESS, f->chunks >= 32 ? 0.9 : 0.6);
		snprintf(v->evidence, sizeof(v->evidence),
			 "%u of %u samples look nearly random: the frequencies of the "
			 "bytes are %.0f standard deviations from random",
			 f->high, f->chunks, distance);
	} else if (share >= 0.9 && f->chunks >= 8) {
		set(v, VST_PATTERN_ENCRYPT, f->chunks >= 32 ? 0.97 : 0.85);
		snprintf(v->evidence, sizeof(v->evidence),
			 "%u of %u samples look random (%.1f standard deviations), and "
			 "the file does not begin like a compressed one",
			 f->high, f->chunks, distance);
	}
}

void vst_verdict_decide(const struct vst_file *f, double observed, struct vst_file_verdict *ret)
{
	const struct head *head = head_of(f);

	*ret = (struct vst_file_verdict){ .pattern = NOTHING };
	if (is_copy(f, observed, ret))
		return;
	if (!f->chunks)
		return;
	if (!head || head->pattern == NOT_RANDOM) {
		by_bytes(f, head, ret);
	} else if (head->pattern != NOTHING && f->high * 2 >= f->chunks) {
		set(ret, head->pattern, 0.98);
		snprintf(ret->evidence, sizeof(ret->evidence), "begins like %s, and %u of %u samples look random",
			 head->what, f->high, f->chunks);
	}
}
