// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/snapshot.h"
#include "agent/who/labels.h"

/* Annotations of goresctrl's and containerd's blockio classes. */
static const char *const wanted[] = { "blockio.resources.beta.kubernetes.io/", "io.kubernetes.cri.blockio-class" };

/* What runtimes note for themselves: kilobytes of paths and of JSON within JSON. */
static const char *const internal[] = { "io.kubernetes.cri-o.",	 "io.kubernetes.cri.",	"io.container.manager",
					"io.podman.annotations", "org.opencontainers.", "org.systemd.property.",
					"kubectl.kubernetes.io/" };

static bool begins_with_one(const char *key, const char *const *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strncmp(key, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

#define IS(key, prefixes) begins_with_one(key, prefixes, sizeof(prefixes) / sizeof((prefixes)[0]))

void vst_labels_free(struct vst_label *label, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(label[i].key);
		free(label[i].value);
	}
	free(label);
}

static bool is_known(const struct vst_labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->label[i].key, key))
			return true;
	return false;
}

static void add(struct vst_labels *l, const char *key, const json_t *json)
{
	const char *value = json_string_value(json);
	struct vst_label *label;
	size_t bytes;

	/* json_string_value() ends at a NUL that somebody wrote as \u0000 */
	if (!value || strlen(value) != json_string_length(json) || strlen(value) > VST_LABEL_VALUE_MAX)
		return;
	bytes = strlen(key) + strlen(value) + 2;
	if (l->n >= VST_LABELS_MAX || l->bytes + bytes > VST_LABELS_BYTES || is_known(l, key))
		return;
	label = realloc(l->label, (l->n + 1) * sizeof(*label));
	if (!label)
		return;
	l->label = label;
	label += l->n;
	label->key = strdup(key);
	label->value = strdup(value);
	if (!label->key || !label->value) {
		free(label->key);
		free(label->value);
		return;
	}
	l->n++;
	l->bytes += bytes;
}

void vst_labels_take(struct vst_labels *labels, const json_t *object)
{
	const char *key;
	json_t *value;

	/* json_object_foreach() takes no const */
	json_object_foreach((json_t *)object, key, value) if (IS(key, wanted)) add(labels, key, value);
	json_object_foreach((json_t *)object, key, value) if (!IS(key, wanted) && !IS(key, internal))
		add(labels, key, value);
}
