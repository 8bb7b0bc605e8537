// SPDX-License-Identifier: GPL-2.0-only
/* Sets of prefixes: from the policy, and from list files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_address.h"
#include "policy_read.h"

#define LINE_MOST 100 /* bytes of a prefix, with much room */

/* Grows by doubling: n is a power of two (or 0) when there is no more room. */
static int add(struct reader *r, struct policy_prefixes *to, const struct policy_prefix *p)
{
	struct policy_prefix *more;

	if (r->p->allow.n + r->p->deny.n >= POLICY_PREFIXES_MOST) {
		complain(&r->errors, &p->origin, "more than %d prefixes in all",
			 POLICY_PREFIXES_MOST);
		return -E2BIG;
	}
	if (!(to->n & (to->n - 1))) {
		more = realloc(to->at, (to->n ? 2 * to->n : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		to->at = more;
	}
	to->at[to->n++] = *p;
	return 0;
}

/* ---- list files ---- */

/* One line without its end. */
static int read_line(struct reader *r, struct origin *at, const char *line, size_t n,
		     struct policy_prefixes *to)
{
	const char *comment = memchr(line, '#', n);
	struct policy_prefix p = {.origin = *at};
	char text[LINE_MOST + 1], why[ADDRESS_WHY_SIZE];
	size_t begin = 0;

	if (comment)
		n = comment - line;
	while (begin < n && strchr(" \t\r", line[begin]))
		begin++;
	while (n > begin && strchr(" \t\r", line[n - 1]))
		n--;
	if (begin == n)
		return 0;
	p.origin.column = begin + 1;
	n -= begin;
	snprintf(text, sizeof(text), "%.*s", (int)(n < LINE_MOST ? n : LINE_MOST), line + begin);
	if (!prefix_parse(text, &p, why))
		return add(r, to, &p);
	complain(&r->errors, &p.origin, "%s", why);
	return 0;
}

/* Only text can be passed on as JSON. */
static bool is_text(struct reader *r, u16 file)
{
	const struct policy_file *f = &r->p->files[file];
	size_t good = utf8_until(f->text, f->size);
	const char *zero = memchr(f->text, 0, good);
	struct origin at = {.from = ORIGIN_FILE, .file = file};

	if (zero)
		good = zero - f->text;
	if (good == f->size)
		return true;
	text_position(f->text, good, &at);
	if (zero)
		complain(&r->errors, &at, "a zero character");
	else
		complain(&r->errors, &at, "not UTF-8: byte 0x%02x", (u8)f->text[good]);
	return false;
}

int read_list(struct reader *r, u16 file, struct policy_prefixes *to)
{
	const struct policy_file *f = &r->p->files[file];
	const char *line = f->text, *last = f->text + f->size, *end;
	struct origin at = {.from = ORIGIN_FILE, .file = file};
	int err = 0;

	if (!is_text(r, file))
		return 0;
	if (f->size >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) /* as some editors begin a file */
		line += 3;
	for (; line < last && !err && !r->errors.more; line = end + 1) {
		end = memchr(line, '\n', last - line);
		if (!end)
			end = last;
		at.line++;
		err = read_line(r, &at, line, end - line, to);
	}
	return err;
}

/* A name in the policy is relative to the policy's directory. */
static char *list_name(const struct reader *r, const char *written)
{
	const char *policy = r->p->files[0].name, *slash = strrchr(policy, '/');
	char *name;

	if (*written == '/' || !slash)
		return strdup(written);
	if (asprintf(&name, "%.*s/%s", (int)(slash - policy), policy, written) < 0)
		return NULL;
	return name;
}

static bool named_before(struct reader *r, const struct node *n, const char *name)
{
	char buf[SHOWN_SIZE];
	size_t i;

	for (i = 0; i < r->p->n_files; i++)
		if (!strcmp(r->p->files[i].name, name))
			break;
	if (i == r->p->n_files)
		return false;
	complain_at(r, n, "%s is %s", shown(n->text, buf),
		    i ? "named twice" : "the policy itself, not a list of prefixes");
	return true;
}

static void cannot_read(struct reader *r, const struct node *n, int err)
{
	char buf[SHOWN_SIZE];

	if (err == -EFBIG)
		complain_at(r, n, "%s is too large: all files together may have %d MB",
			    shown(n->text, buf), POLICY_BYTES_MOST >> 20);
	else if (err == -E2BIG)
		complain_at(r, n, "more than %d list files", POLICY_FILES_MOST - 1);
	else
		complain_at(r, n, "%s cannot be read: %s", shown(n->text, buf), strerror(-err));
}

static int read_list_file(struct reader *r, const struct node *n, struct policy_prefixes *to)
{
	char *name, buf[SHOWN_SIZE];
	struct policy_file *file;
	int err;

	if (n->type != NODE_SCALAR || !*n->text) {
		complain_at(r, n, "the name of a file is expected");
		return 0;
	}
	if (has_control(n->text)) { /* errors in the file begin with its name */
		complain_at(r, n, "%s: no control characters in a file's name",
			    shown(n->text, buf));
		return 0;
	}
	name = list_name(r, n->text);
	if (!name)
		return -ENOMEM;
	if (named_before(r, n, name)) {
		free(name);
		return 0;
	}
	err = read_file(r, name, &file);
	free(name);
	if (!err)
		return read_list(r, file - r->p->files, to);
	if (err == -ENOMEM)
		return err;
	cannot_read(r, n, err);
	return 0;
}

int read_prefix(struct reader *r, const struct node *n, struct policy_prefixes *to)
{
	struct policy_prefix p = {.origin = node_origin(n)};
	char why[ADDRESS_WHY_SIZE];

	if (n->type == NODE_MAP && n->first && !n->first->next && !strcmp(n->first->text, "file"))
		return read_list_file(r, n->first->value, to);
	if (n->type != NODE_SCALAR) {
		complain_at(r, n, "a prefix is expected, or \"file: NAME\"; IPv6 in quotes");
		return 0;
	}
	if (!prefix_parse(n->text, &p, why))
		return add(r, to, &p);
	complain_at(r, n, "%s", why);
	return 0;
}

/* ---- order ---- */

/* Of equal ones the first in the files comes first. */
static int compare(const void *l, const void *r)
{
	const struct policy_prefix *a = l, *b = r;
	int d = prefix_compare(a, b);

	if (d)
		return d;
	if (a->origin.file != b->origin.file)
		return a->origin.file < b->origin.file ? -1 : 1;
	if (a->origin.line != b->origin.line)
		return a->origin.line < b->origin.line ? -1 : 1;
	return a->origin.column < b->origin.column ? -1 : a->origin.column > b->origin.column;
}

void prefixes_sort(struct policy_prefixes *p)
{
	size_t i, n = 0;

	if (!p->n)
		return;
	qsort(p->at, p->n, sizeof(*p->at), compare);
	for (i = 0; i < p->n; i++)
		if (!i || prefix_compare(&p->at[n - 1], &p->at[i]))
			p->at[n++] = p->at[i];
	p->n = n;
}
