/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * YAML as a tree of bounded size, in which each node knows its place. We take libyaml's events, because each carries
 * its line and column, and because its documents would follow aliases: a few lines of those can stand for gigabytes.
 */
#include <string.h>
#include <yaml.h>

#include "policy/rules_priv.h"

/* An open list or mapping. */
struct level {
	struct vst_yaml *node;
	struct vst_yaml **end; /* where its next child goes */
	size_t children;
};

struct reader {
	struct vst_parse *p;
	const char *text;
	size_t len;
	yaml_parser_t parser;
	struct vst_yaml *root;
	struct level level[VST_POLICY_MAX_DEPTH];
	unsigned int depth, documents;
	size_t nodes;
	bool done, failed;
};

/* What to do about an error that libyaml reports. The first row whose text occurs in its context or message counts. */
static const struct {
	const char *problem;
	bool at_begin; /* the mistake is where the context begins, not where it was noticed */
	const char *remedy;
} remedies[] = {
	{ "a tag", true, "put a text that begins with ! in quotes" },
	{ "tag handle", true, "put a text that begins with ! in quotes" },
	{ "an alias", true, "put a text that begins with * in quotes" },
	{ "an anchor", true, "put a text that begins with & in quotes" },
	{ "unexpected end of stream", true, "close the quote" },
	{ "cannot start any token", false, "put a text that begins with %, @ or ` in quotes" },
	{ "mapping values are not allowed", false,
	  "put a text that contains ': ' in quotes, and check the indentation" },
	{ "unknown escape character", false, "use single quotes, in which \\ is an ordinary character" },
	{ "hexdecimal number", false, "use single quotes, in which \\ is an ordinary character" },
	{ "did not find expected ',' or ']'", false, "close the list with ]" },
	{ "did not find expected ',' or '}'", false, "close the mapping with }" },
	{ "did not find expected '-' indicator", false, "indent the keys of a mapping alike, and the items of a list" },
	{ "did not find expected key", false, "indent the keys of a mapping alike, and the items of a list" },
	{ "could not find expected ':'", false, "write 'key: value', with a space after the colon" },
	{ "", false, "check indentation, quotes and brackets" },
};

/* Place of a byte: the reader gives no line for what it cannot decode. */
static void place_of(const struct reader *r, size_t offset, unsigned int *line, unsigned int *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < offset && i < r->len; i++) {
		if (r->text[i] == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
			(*column)++;
		}
	}
}

static bool is_tab(const struct reader *r, const yaml_mark_t *mark)
{
	const char *s = r->text, *end = r->text + r->len;

	for (size_t line = 0; s < end && line < mark->line; s++)
		line += *s == '\n';
	return (size_t)(end - s) > mark->column && s[mark->column] == '\t';
}

static void report_syntax(struct reader *r)
{
	const char *problem = r->parser.problem ? r->parser.problem : "unreadable";
	const char *context = r->parser.context ? r->parser.context : "";
	const yaml_mark_t *mark = &r->parser.problem_mark, *begin = &r->parser.context_mark;
	unsigned int line, column;
	char from[128] = "";
	size_t i = 0;

	if (r->parser.error == YAML_MEMORY_ERROR) {
		r->p->no_memory = true;
		return;
	}
	if (r->parser.error == YAML_READER_ERROR) {
		place_of(r, r->parser.problem_offset, &line, &column);
		vst_parse_error_at(r->p, line, column, "not a text in UTF-8: %s; save the file as UTF-8", problem);
		return;
	}
	if (is_tab(r, mark)) {
		vst_parse_error_at(r->p, mark->line + 1, mark->column + 1,
				   "not valid YAML: a tab where the indentation should be; use spaces");
		return;
	}
	while (!strstr(problem, remedies[i].problem) && !strstr(context, remedies[i].problem))
		i++;
	if (remedies[i].at_begin && *context)
		mark = begin;
	else if (*context && begin->line != mark->line)
		snprintf(from, sizeof(from), " %s that begins in line %zu", context, begin->line + 1);
	vst_parse_error_at(r->p, mark->line + 1, mark->column + 1, "not valid YAML: %s%s; %s", problem, from,
			   remedies[i].remedy);
}

static void fail(struct reader *r, const yaml_event_t *event, const char *text)
{
	r->failed = true;
	vst_parse_error_at(r->p, event->start_mark.line + 1, event->start_mark.column + 1, "%s", text);
}

/* A new node, in its place in the tree; NULL if there is none for it, which was reported. */
static struct vst_yaml *add_node(struct reader *r, const yaml_event_t *event, enum vst_yaml_type type)
{
	struct level *in = r->depth ? &r->level[r->depth - 1] : NULL;
	struct vst_yaml *node;

	if (++r->nodes > VST_POLICY_MAX_NODES) {
		fail(r, event, "more than 65536 entries; split the rules or use globs");
		return NULL;
	}
	node = vst_arena_alloc(r->p->nodes, 1, sizeof(*node));
	if (!node) {
		r->p->no_memory = true;
		r->failed = true;
		return NULL;
	}
	node->type = type;
	node->text = "";
	node->line = event->start_mark.line + 1;
	node->column = event->start_mark.column + 1;
	if (in) {
		*in->end = node;
		in->end = &node->next;
		in->children++;
		in->node->n = in->node->type == VST_YAML_MAP ? in->children / 2 : in->children;
	} else {
		r->root = node;
	}
	return node;
}

/* Tags would change types, anchors are of use to aliases only. Both are more often texts that lack their quotes. */
static void refuse_extras(struct reader *r, const struct vst_yaml *node, const yaml_char_t *tag,
			  const yaml_char_t *anchor)
{
	if (tag)
		vst_parse_error(r->p, node, "YAML tags are not used here; if the text begins with !, put it in quotes");
	if (anchor)
		vst_parse_error(r->p, node,
				"YAML anchors are not used here; if the text begins with &, put it in quotes");
}

static void open_level(struct reader *r, const yaml_event_t *event, enum vst_yaml_type type)
{
	bool is_map = type == VST_YAML_MAP;
	struct vst_yaml *node;

	if (r->depth == VST_POLICY_MAX_DEPTH) {
		fail(r, event, "more than 16 lists and mappings inside each other; a policy needs 5");
		return;
	}
	node = add_node(r, event, type);
	if (!node)
		return;
	refuse_extras(r, node, is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag,
		      is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);
	r->level[r->depth++] = (struct level){ .node = node, .end = &node->child };
}

static size_t count_characters(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0))
			return true;
	}
	return false;
}

static void add_scalar(struct reader *r, const yaml_event_t *event)
{
	struct vst_yaml *node = add_node(r, event, VST_YAML_SCALAR);
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	size_t source = event->end_mark.index - event->start_mark.index;

	if (!node)
		return;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->exact = event->start_mark.line == event->end_mark.line &&
		      source == count_characters(text, len) + (node->quoted ? 2 : 0);
	refuse_extras(r, node, event->data.scalar.tag, event->data.scalar.anchor);
	if (event->data.scalar.tag || event->data.scalar.anchor) {
		node->type = VST_YAML_BAD;
		return;
	}
	if (len > VST_POLICY_MAX_TEXT) {
		vst_parse_error(r->p, node, "a text of %zu bytes; up to %d are read", len, VST_POLICY_MAX_TEXT);
		node->type = VST_YAML_BAD;
	} else if (has_control(text, len)) {
		vst_parse_error(r->p, node, "a text with control characters or line breaks; remove them");
		node->type = VST_YAML_BAD;
	} else {
		node->text = vst_arena_text(r->p->nodes, text, len);
		node->len = len;
		r->p->no_memory |= !node->text;
		r->failed |= !node->text;
	}
}

static void add_alias(struct reader *r, const yaml_event_t *event)
{
	struct vst_yaml *node = add_node(r, event, VST_YAML_BAD);

	if (node)
		vst_parse_error_at(r->p, node->line, node->column,
				   "YAML aliases are not used here; if the text begins with *, put it in quotes");
}

static void take_event(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++r->documents > 1)
			fail(r, event, "a second YAML document; keep one policy in a file");
		break;
	case YAML_SCALAR_EVENT:
		add_scalar(r, event);
		break;
	case YAML_ALIAS_EVENT:
		add_alias(r, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		open_level(r, event, VST_YAML_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		open_level(r, event, VST_YAML_MAP);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		break;
	case YAML_STREAM_END_EVENT:
		r->done = true;
		break;
	default:
		break;
	}
}

static void read_events(struct reader *r)
{
	yaml_event_t event;

	while (!r->done && !r->failed) {
		if (!yaml_parser_parse(&r->parser, &event)) {
			report_syntax(r);
			r->failed = true;
			return;
		}
		take_event(r, &event);
		yaml_event_delete(&event);
	}
}

struct vst_yaml *vst_yaml_parse(struct vst_parse *p, const char *text, size_t len)
{
	struct reader r = { .p = p, .text = text, .len = len };

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* some editors begin a file in UTF-8 so */
		r.text += 3;
		r.len -= 3;
	}
	if (len > VST_POLICY_MAX_BYTES) {
		vst_parse_error_at(p, 0, 0, "larger than 1 MiB; split the rules or use globs");
		return NULL;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		p->no_memory = true;
		return NULL;
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.len);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	read_events(&r);
	yaml_parser_delete(&r.parser);
	if (r.failed)
		return NULL;
	if (!r.root)
		vst_parse_error_at(p, 1, 1, "is empty; begin with 'version: 1'");
	return r.root;
}
