// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/keep.h"

/*
 * Per mille of the cache. Measured on bcache: a block that is read after the cache took in three quarters of its size is
 * there still, after its whole size a third is. The rest is for what is admitted while a pass is under way.
 */
static const unsigned int periods[VST_HEAT_CLASSES] = { 700, 500, 250 };
_Static_assert(VST_HEAT_CLASSES == 3, "a period for each class");

#define LOOKS 64 /* for lost units, while the cache takes in its size */

const char *vst_keep_text(unsigned int classes, char *buf)
{
	size_t n = 0;

	for (unsigned int class = VST_HEAT_CLASS_MIN; class <= VST_CLASS_MAX; class ++)
		if (classes >> class & 1)
			n += (size_t)snprintf(buf + n, VST_KEEP_TEXT - n, "%s%u", n ? " " : "", class);
	if (!n)
		strcpy(buf, "off");
	return buf;
}

int vst_keep_parse(const char *text, unsigned int *ret_classes)
{
	char written[VST_KEEP_TEXT];
	unsigned int classes = 0;

	for (const char *c = text; *c; c++)
		if (*c >= '0' + VST_HEAT_CLASS_MIN && *c <= '0' + VST_CLASS_MAX)
			classes |= 1U << (*c - '0');
	if (strcmp(vst_keep_text(classes, written), text) != 0)
		return -EINVAL;
	*ret_classes = classes;
	return 0;
}

uint64_t vst_keep_period(unsigned int class, uint64_t cache_bytes)
{
	if (class < VST_HEAT_CLASS_MIN || class > VST_CLASS_MAX)
		return 0;
	return cache_bytes / 1000 * periods[class - VST_HEAT_CLASS_MIN];
}

unsigned int vst_keep_due(struct vst_keep *k, uint64_t admitted, uint64_t cache_bytes)
{
	uint64_t step = admitted > k->seen ? admitted - k->seen : 0; /* as much will be admitted until the next look */
	unsigned int due = 0;

	k->seen = admitted;
	for (unsigned int class = VST_HEAT_CLASS_MIN; class <= VST_CLASS_MAX; class ++) {
		uint64_t *last = &k->admitted[class - VST_HEAT_CLASS_MIN];

		if (k->started >> class & 1 && admitted >= *last &&
		    admitted - *last + step < vst_keep_period(class, cache_bytes))
			continue;
		due |= 1U << class;
		k->started |= 1U << class;
		*last = admitted;
	}
	return due;
}

void vst_keep_again(struct vst_keep *k, unsigned int classes)
{
	k->started &= (uint8_t)~classes;
}

bool vst_keep_look(struct vst_keep *k, uint64_t admitted, uint64_t cache_bytes)
{
	if (admitted >= k->looked && admitted - k->looked < cache_bytes / LOOKS)
		return false;
	k->looked = admitted;
	return true;
}

uint32_t vst_keep_unknown(struct vst_keep *k, uint64_t admitted, uint32_t unit_bytes)
{
	uint64_t share = (uint64_t)VST_KEEP_UNKNOWN_SHARE * unit_bytes;
	uint64_t units = k->asked && admitted > k->asked ? (admitted - k->asked) / share : 0;
	uint64_t max = units > VST_KEEP_UNKNOWN_FIRST ? units : VST_KEEP_UNKNOWN_FIRST;

	if (!k->asked)
		k->unknown = VST_KEEP_UNKNOWN_FIRST;
	if (!k->asked || admitted < k->asked)
		k->asked = admitted ? admitted : 1;
	else
		k->asked += units * share;
	units += k->unknown;
	units = units < max ? units : max;
	k->unknown = units < UINT32_MAX ? (uint32_t)units : UINT32_MAX;
	return k->unknown;
}

void vst_keep_unknown_used(struct vst_keep *k, size_t units)
{
	k->unknown -= units < k->unknown ? (uint32_t)units : k->unknown;
}
