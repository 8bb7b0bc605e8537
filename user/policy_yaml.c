// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "policy_yaml.h"

#define CHUNK_SIZE (32 << 10)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

struct yaml {
	yaml_parser_t parser;
	struct tree *tree;
	struct complaints *errors;
	const char *text;
	size_t size;
};

/* ---- memory ---- */

static void *take(struct tree *t, size_t size)
{
	size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
	struct chunk *c = t->chunks;
	void *at;

	size = (size + 7) & ~(size_t)7;
	if (!c || c->size - c->used < size) {
		c = malloc(sizeof(*c) + room + 8);
		if (!c)
			return NULL;
		c->next = t->chunks;
		c->size = room + 8;
		c->used = 0;
		t->chunks = c;
	}
	at = c->bytes + c->used;
	c->used += size;
	return at;
}

void tree_free(struct tree *t)
{
	struct chunk *c, *next;

	for (c = t->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	memset(t, 0, sizeof(*t));
}

/* ---- UTF-8 (RFC 3629) ---- */

static size_t utf8_length(const unsigned char *s, size_t size)
{
	/* lead bytes, and what the second byte may be: no surrogates, nothing overlong */
	static const struct {
		u8 from, to, length, second_from, second_to;
	} forms[] = {
		{0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf},
		{0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
		{0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
		{0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf},
		{0xf4, 0xf4, 4, 0x80, 0x8f},
	};
	size_t f, i;

	for (f = 0; f < sizeof(forms) / sizeof(*forms); f++)
		if (s[0] >= forms[f].from && s[0] <= forms[f].to)
			break;
	if (f == sizeof(forms) / sizeof(*forms) || forms[f].length > size)
		return 0;
	for (i = 1; i < forms[f].length; i++)
		if (s[i] < (i == 1 ? forms[f].second_from : 0x80) ||
		    s[i] > (i == 1 ? forms[f].second_to : 0xbf))
			return 0;
	return forms[f].length;
}

size_t utf8_until(const char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t at = 0, n;

	while (at < size) {
		n = s[at] < 0x80 ? 1 : utf8_length(s + at, size - at);
		if (!n)
			break;
		at += n;
	}
	return at;
}

void text_position(const char *text, size_t at, struct origin *o)
{
	size_t i;

	o->line = o->column = 1;
	for (i = 0; i < at; i++) {
		if (text[i] == '\n') {
			o->line++;
			o->column = 1;
		} else if ((text[i] & 0xc0) != 0x80) {
			o->column++;
		}
	}
}

/* ---- what is wrong, in words ---- */

static struct origin where(yaml_mark_t mark)
{
	return (struct origin){
		.from = ORIGIN_FILE, .line = mark.line + 1, .column = mark.column + 1};
}

/* What libyaml says (a part of it), and what is probably meant. %C: where the thing begins. */
static const struct syntax {
	const char *context, *problem, *words;
	bool there; /* the error is where the thing begins, not where it was noticed */
} syntax[] = {
	{"an alias", "", "\"*\" begins an alias in YAML: put the value in quotes, such as \"*:80\"",
	 true},
	{"an anchor", "", "\"&\" begins an anchor in YAML: put the value in quotes", true},
	{"", "mapping values are not allowed",
	 "a second \": \" here: is the indentation right, or are quotes missing?", false},
	{"", "block sequence entries are not allowed",
	 "a list's \"- \" cannot stand here: begin a new line", false},
	{"", "tab character", "a tab: YAML is indented with spaces", false},
	{"", "cannot start any token", "a value cannot begin like this: put it in quotes", false},
	{"flow node", "expected node content",
	 "a value is expected here; an IPv6 address must be in quotes, such as \"[::]:80\"", false},
	{"plain scalar", "unexpected ':'",
	 "an IPv6 address, like all with \":\", must be in quotes here, such as \"[::]:80\"", true},
	{"block mapping", "did not find expected key",
	 "\"key: value\" is expected here: is the indentation that of %C, where this begins?",
	 false},
	{"block collection", "did not find expected '-'",
	 "\"- \" is expected here, as at %C where the list begins; what has brackets must be in "
	 "quotes",
	 false},
	{"flow sequence", "did not find expected",
	 "\",\" or \"]\" is expected here; the list begins at %C", false},
	{"flow mapping", "did not find expected", "\",\" or \"}\" is expected here; \"{\" is at %C",
	 false},
	{"simple key", "could not find expected ':'", "no \":\" behind this key", true},
	{"quoted scalar", "unexpected", "this quotation mark is not closed", true},
	{"quoted scalar", "escape",
	 "a backslash has a meaning between double quotes: use single quotes", false},
	{"", "expected <document start>",
	 "this is no part of what stands before it: is the indentation right?", false},
	{"", "control characters", "a control character", false},
	{"", "", NULL, false},
};

/* libyaml does not say that what it cannot begin with is a tab. */
static bool is_tab(const struct yaml *y, const struct origin *at)
{
	const char *line = y->text, *end = y->text + y->size;
	u32 i;

	for (i = 1; line && i < at->line; i++) {
		line = memchr(line, '\n', end - line);
		line = line ? line + 1 : NULL;
	}
	/* characters before it are blanks, if it is what is wrong */
	return line && line + at->column - 1 < end && line[at->column - 1] == '\t';
}

static void say_syntax(struct yaml *y, const struct syntax *s, const struct origin *at)
{
	const yaml_parser_t *p = &y->parser;
	struct origin begin = where(p->context_mark);
	const char *hole;

	if (!s->words) {
		complain(y->errors, at, "not YAML: %s%s%s", p->context ? p->context : "",
			 p->context ? ", " : "", p->problem);
		return;
	}
	hole = strstr(s->words, "%C");
	if (!hole)
		complain(y->errors, s->there ? &begin : at, "%s", s->words);
	else
		complain(y->errors, at, "%.*s%u:%u%s", (int)(hole - s->words), s->words, begin.line,
			 begin.column, hole + 2);
}

static int syntax_error(struct yaml *y)
{
	const yaml_parser_t *p = &y->parser;
	struct origin at = where(p->problem_mark);
	const char *context = p->context ? p->context : "";
	const struct syntax *s = syntax;

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) /* has no mark */
		text_position(y->text, p->problem_offset < y->size ? p->problem_offset : y->size,
			      &at);
	while (!strstr(context, s->context) || !strstr(p->problem, s->problem))
		s++;
	if (is_tab(y, &at))
		complain(y->errors, &at, "a tab: YAML is indented with spaces");
	else
		say_syntax(y, s, &at);
	return -EINVAL;
}

static int refuse(struct yaml *y, const yaml_event_t *e, const char *words)
{
	struct origin at = where(e->start_mark);

	complain(y->errors, &at, "%s", words);
	return -EINVAL;
}

/* ---- the tree ---- */

/* Reads the value of the event, which is not to be used afterwards. */
static int read_node(struct yaml *y, yaml_event_t *e, unsigned int depth, struct node **node);

static int next_event(struct yaml *y, yaml_event_t *e)
{
	return yaml_parser_parse(&y->parser, e) ? 0 : syntax_error(y);
}

static int refuse_decoration(struct yaml *y, const yaml_event_t *e, const yaml_char_t *anchor,
			     const yaml_char_t *tag)
{
	if (anchor)
		return refuse(y, e,
			      "anchors (&) are not understood here: write the value out "
			      "where it is needed");
	if (tag)
		return refuse(y, e,
			      "tags (!) are not understood here: leave it out, or put the "
			      "value in quotes");
	return 0;
}

static int read_scalar(struct yaml *y, const yaml_event_t *e, struct node *n)
{
	size_t length = e->data.scalar.length;
	const char *value = (const char *)e->data.scalar.value;
	char *text;

	if (memchr(value, 0, length))
		return refuse(y, e, "a zero character in a value");
	text = take(y->tree, length + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, value, length);
	text[length] = 0;
	n->text = text;
	n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int read_items(struct yaml *y, unsigned int depth, struct node *list)
{
	struct node **link = &list->first, *item;
	yaml_event_t e;
	int err;

	for (;;) {
		err = next_event(y, &e);
		if (err)
			return err;
		if (e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			return 0;
		}
		item = NULL;
		err = read_node(y, &e, depth + 1, &item);
		if (err || !item)
			return err;
		*link = item;
		link = &item->next;
	}
}

/* The event is that of a key. */
static int read_key(struct yaml *y, yaml_event_t *e, unsigned int depth, struct node **key)
{
	int err;

	if (e->type == YAML_SEQUENCE_START_EVENT || e->type == YAML_MAPPING_START_EVENT) {
		err = refuse(y, e,
			     "a list or mapping in place of a key: IPv6 addresses must be in "
			     "quotes, such as \"[::]:80\"");
		yaml_event_delete(e);
		return err;
	}
	return read_node(y, e, depth + 1, key);
}

static int read_pairs(struct yaml *y, unsigned int depth, struct node *map)
{
	struct node **link = &map->first, *key;
	yaml_event_t e;
	int err;

	for (;;) {
		err = next_event(y, &e);
		if (err)
			return err;
		if (e.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&e);
			return 0;
		}
		key = NULL;
		err = read_key(y, &e, depth, &key);
		if (err || !key)
			return err;
		*link = key;
		link = &key->next;
		err = next_event(y, &e);
		if (!err)
			err = read_node(y, &e, depth + 1, &key->value);
		if (err)
			return err;
	}
}

static int begin_node(struct yaml *y, const yaml_event_t *e, unsigned int depth, struct node *n)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		n->type = NODE_SCALAR;
		return refuse_decoration(y, e, e->data.scalar.anchor, e->data.scalar.tag);
	case YAML_SEQUENCE_START_EVENT:
		n->type = NODE_LIST;
		if (depth < YAML_DEPTH_MOST)
			return refuse_decoration(y, e, e->data.sequence_start.anchor,
						 e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		n->type = NODE_MAP;
		if (depth < YAML_DEPTH_MOST)
			return refuse_decoration(y, e, e->data.mapping_start.anchor,
						 e->data.mapping_start.tag);
		break;
	default:
		return refuse(y, e,
			      "aliases (*) are not understood here: write the value out, or "
			      "put it in quotes, such as \"*:80\"");
	}
	return refuse(y, e, "nested too deeply");
}

static int read_node(struct yaml *y, yaml_event_t *e, unsigned int depth, struct node **node)
{
	yaml_event_type_t type = e->type;
	struct node *n = NULL;
	int err = 0;

	if (y->tree->n++ == YAML_NODES_MOST)
		err = refuse(y, e, "too many values in one file: put prefixes in a list file");
	if (!err)
		n = take(y->tree, sizeof(*n));
	if (!err && !n)
		err = -ENOMEM;
	if (!err) {
		*n = (struct node){.line = e->start_mark.line + 1,
				   .column = e->start_mark.column + 1};
		*node = n;
		err = begin_node(y, e, depth, n);
	}
	if (!err && type == YAML_SCALAR_EVENT)
		err = read_scalar(y, e, n);
	yaml_event_delete(e);
	if (!err && type == YAML_SEQUENCE_START_EVENT)
		err = read_items(y, depth, n);
	if (!err && type == YAML_MAPPING_START_EVENT)
		err = read_pairs(y, depth, n);
	return err;
}

/* One document at most, and nothing that needs a directive. */
static int begin_document(struct yaml *y, const yaml_event_t *e)
{
	if (y->tree->root)
		return refuse(y, e, "a second document: a policy is one (no second \"---\")");
	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start !=
		    e->data.document_start.tag_directives.end)
		return refuse(y, e, "YAML directives (%) are not understood here: leave them out");
	return 0;
}

static int read_stream(struct yaml *y)
{
	yaml_event_t e;
	int err;

	for (;;) {
		err = next_event(y, &e);
		if (err)
			return err;
		switch (e.type) {
		case YAML_STREAM_END_EVENT:
			yaml_event_delete(&e);
			return 0;
		case YAML_DOCUMENT_START_EVENT:
			err = begin_document(y, &e);
			/* fall through */
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			yaml_event_delete(&e);
			break;
		default:
			err = read_node(y, &e, 0, &y->tree->root);
		}
		if (err)
			return err;
	}
}

int tree_read(struct tree *t, const char *text, size_t size, struct complaints *c)
{
	struct yaml y = {.tree = t, .errors = c, .text = text, .size = size};
	struct origin at = {.from = ORIGIN_FILE};
	size_t good = utf8_until(text, size);
	int err;

	memset(t, 0, sizeof(*t));
	if (good < size) {
		text_position(text, good, &at);
		complain(c, &at, "not UTF-8: byte 0x%02x", (u8)text[good]);
		return -EINVAL;
	}
	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* as some editors begin a file */
		y.text += 3;
		y.size -= 3;
	}
	if (!yaml_parser_initialize(&y.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y.parser, (const unsigned char *)y.text, y.size);
	err = read_stream(&y);
	yaml_parser_delete(&y.parser);
	return err;
}
