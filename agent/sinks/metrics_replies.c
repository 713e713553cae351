// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>
#include <zlib.h>

#include "agent/sinks/accept.h"
#include "agent/sinks/metrics.h"
#include "agent/sinks/metrics_replies.h"

/* The fastest level: on 1.2 MB of text of 8,000 series it takes a third of the time of level 6, for 1.5 times the bytes. */
#define GZIP_LEVEL 1
#define GZIP_WINDOW (15 + 16) /* 16: with a gzip header */

enum reply_form {
	FORM_OPENMETRICS = 1,
	FORM_GZIP = 2,
	FORM__N = 4,
};

struct vst_metrics_replies {
	struct vst_metrics *metrics;
	struct vst_acting *_Atomic acting; /* NULL: the agent starts */
	__u64 seq;			   /* of the replies below */
	struct MHD_Response *reply[FORM__N];
};

static void drop(struct vst_metrics_replies *r, bool plain_only)
{
	for (unsigned int form = 0; form < FORM__N; form++) {
		if (!r->reply[form] || (plain_only && form & FORM_GZIP))
			continue;
		MHD_destroy_response(r->reply[form]);
		r->reply[form] = NULL;
	}
}

/* NULL: out of memory. The caller frees. */
static char *gzip(const char *text, size_t len, size_t *ret_len)
{
	z_stream z = { 0 };
	char *buf = NULL;
	size_t size;

	if (len > UINT_MAX || deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	size = deflateBound(&z, len);
	buf = size <= UINT_MAX ? malloc(size) : NULL;
	if (buf) {
		z.next_in = (Bytef *)(uintptr_t)text;
		z.avail_in = (uInt)len;
		z.next_out = (Bytef *)buf;
		z.avail_out = (uInt)size;
		if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
			free(buf);
			buf = NULL;
		}
	}
	*ret_len = z.total_out;
	deflateEnd(&z);
	return buf;
}

/* Takes the text over, also on failure. */
static struct MHD_Response *response_of(char *text, size_t len, unsigned int form)
{
	struct MHD_Response *response;
	char *less;

	if (text && (form & FORM_GZIP)) {
		less = gzip(text, len, &len);
		free(text);
		text = less ? realloc(less, len) : NULL;
		text = text ? text : less;
	}
	if (!text)
		return NULL;
	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				form & FORM_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
							: "text/plain; version=0.0.4; charset=utf-8");
	if (form & FORM_GZIP)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	/* a place is taken for one scrape, not until the next */
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static unsigned int form_of(struct MHD_Connection *conn)
{
	const char *accept = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	const char *encoding = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);

	return (vst_accept_openmetrics(accept) ? FORM_OPENMETRICS : 0) | (vst_accept_gzip(encoding) ? FORM_GZIP : 0);
}

struct MHD_Response *vst_metrics_replies_get(struct vst_metrics_replies *r, struct MHD_Connection *conn,
					     const struct vst_snapshot *snapshot)
{
	struct vst_acting *acting = r->acting;
	struct vst_acting_status *policy;
	unsigned int form = form_of(conn);
	size_t len = 0;
	char *text;

	if (r->seq != snapshot->seq)
		drop(r, false);
	r->seq = snapshot->seq;
	if (r->reply[form])
		return r->reply[form];
	policy = acting ? vst_acting_status(acting) : NULL;
	text = vst_metrics_render(r->metrics, snapshot, policy, form & FORM_OPENMETRICS, &len);
	vst_acting_status_unref(policy);
	r->reply[form] = response_of(text, len, form);
	return r->reply[form];
}

void vst_metrics_replies_idle(struct vst_metrics_replies *r)
{
	drop(r, true);
}

void vst_metrics_replies_acting(struct vst_metrics_replies *r, struct vst_acting *acting)
{
	r->acting = acting;
}

int vst_metrics_replies_new(unsigned int max_series, struct vst_metrics_replies **ret)
{
	struct vst_metrics_replies *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = vst_metrics_new(max_series, &r->metrics);
	if (err) {
		free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void vst_metrics_replies_free(struct vst_metrics_replies *r)
{
	if (!r)
		return;
	drop(r, false);
	vst_metrics_free(r->metrics);
	free(r);
}
