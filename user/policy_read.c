// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>

#include "policy_address.h"
#include "policy_read.h"
#include "policy_value.h"

#define KEY_MOST 32 /* keys that one mapping can have */

/* A key that is no value of a table. */
struct key {
	const char *path;
	int (*read)(struct reader *r, const struct node *n, void *arg);
};

/* What a mapping can say: values of a table, and other keys. */
struct scope {
	const struct value_type *types;
	struct value *values;
	size_t n_types;
	const struct key *keys; /* end with one without a path; or NULL */
	void *arg;              /* for them */
};

struct origin node_origin(const struct node *n)
{
	return (struct origin){.from = ORIGIN_FILE, .line = n->line, .column = n->column};
}

void complain_at(struct reader *r, const struct node *n, const char *fmt, ...)
{
	struct origin at = node_origin(n);
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	complain(&r->errors, &at, "%s%s%s", r->path, r->path_length ? ": " : "", text);
}

/* ---- the path of what is read ---- */

static size_t enter_key(struct reader *r, const char *key)
{
	size_t before = r->path_length;

	r->path_length += snprintf(r->path + before, sizeof(r->path) - before, "%s%.64s",
				   before ? "." : "", key);
	return before;
}

static size_t enter_index(struct reader *r, size_t i)
{
	size_t before = r->path_length;

	r->path_length += snprintf(r->path + before, sizeof(r->path) - before, "[%zu]", i);
	return before;
}

static void leave(struct reader *r, size_t before)
{
	r->path_length = before;
	r->path[before] = 0;
}

/* ---- what kind of thing ---- */

static bool nothing(const struct node *n)
{
	return n->type == NODE_SCALAR && !n->quoted && !*n->text;
}

/* A key with nothing behind it is an empty list or mapping: all its lines may be comments. */
static bool is_list(struct reader *r, const struct node *n)
{
	if (n->type == NODE_LIST)
		return true;
	if (!nothing(n))
		complain_at(r, n, "a list is expected: [ ... ], or lines that begin with \"- \"");
	return false;
}

static bool is_map(struct reader *r, const struct node *n)
{
	if (n->type == NODE_MAP)
		return true;
	if (!nothing(n))
		complain_at(r, n, "a mapping is expected: lines of \"key: value\"");
	return false;
}

static bool is_scalar(struct reader *r, const struct node *n)
{
	if (n->type != NODE_SCALAR)
		complain_at(r, n, "one value is expected, not a %s; are quotes missing?",
			    n->type == NODE_LIST ? "list" : "mapping");
	else if (nothing(n))
		complain_at(r, n, "no value");
	else
		return true;
	return false;
}

/* ---- mappings ---- */

static const struct node *find_key(const struct node *map, const char *key)
{
	const struct node *k;

	for (k = map->first; k; k = k->next)
		if (!strcmp(k->text, key))
			return k;
	return NULL;
}

static void read_value(struct reader *r, const struct value_type *t, const struct node *n,
		       struct value *v)
{
	char why[VALUE_WHY_SIZE];

	v->origin = node_origin(n);
	v->n = VALUE_WRONG;
	if (!is_scalar(r, n) || !value_parse(t, n->text, &v->n, why))
		return;
	v->n = VALUE_WRONG;
	complain_at(r, n, "%s", why);
}

/* The part of `path` that is a key of the mapping at `prefix`, or NULL. */
static const char *key_below(const char *path, const char *prefix, char buf[64])
{
	size_t n = strlen(prefix);

	if (strncmp(path, prefix, n))
		return NULL;
	snprintf(buf, 64, "%.*s", (int)strcspn(path + n, "."), path + n);
	return buf;
}

/* All keys of a mapping; a path's are next to each other in the tables. */
struct known {
	char text[KEY_MOST][64];
	const char *at[KEY_MOST];
	size_t n;
};

static void know(struct known *k, const char *path, const char *prefix)
{
	char *text = k->text[k->n];
	size_t i;

	if (k->n == KEY_MOST || !key_below(path, prefix, text))
		return;
	for (i = 0; i < k->n; i++)
		if (!strcmp(k->text[i], text))
			return;
	k->at[k->n++] = text;
}

static void unknown_key(struct reader *r, const struct scope *s, const char *prefix,
			const struct node *key)
{
	char list[512] = "", buf[SHOWN_SIZE];
	struct known k = {.n = 0};
	const char *guess;
	size_t i, n = 0;

	for (i = 0; s->keys && s->keys[i].path; i++)
		know(&k, s->keys[i].path, prefix);
	for (i = 0; i < s->n_types; i++)
		know(&k, s->types[i].path, prefix);
	guess = strlen(key->text) < 64 ? nearest(key->text, k.at, k.n) : NULL;
	if (guess) {
		complain_at(r, key, "unknown key %s; did you mean \"%s\"?", shown(key->text, buf),
			    guess);
		return;
	}
	for (i = 0; i < k.n && n < sizeof(list); i++)
		n += snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", k.at[i]);
	complain_at(r, key, "unknown key %s; known here: %s", shown(key->text, buf), list);
}

static bool seen_before(struct reader *r, const struct node *map, const struct node *key)
{
	const struct node *first = find_key(map, key->text);
	char buf[SHOWN_SIZE];

	if (first == key)
		return false;
	complain_at(r, key, "%s is there twice; first at %u:%u", shown(key->text, buf), first->line,
		    first->column);
	return true;
}

static int read_map(struct reader *r, const struct scope *s, const char *prefix,
		    const struct node *map);

/* One key with what is behind it. */
static int read_key(struct reader *r, const struct scope *s, const char *prefix,
		    const struct node *key)
{
	char path[64];
	size_t i, n = snprintf(path, sizeof(path), "%s%s", prefix, key->text), before;
	int err = 0;

	if (n >= sizeof(path) - 1 || strchr(key->text, '.')) {
		unknown_key(r, s, prefix, key);
		return 0;
	}
	for (i = 0; s->keys && s->keys[i].path; i++) {
		if (strcmp(s->keys[i].path, path))
			continue;
		before = enter_key(r, key->text);
		err = s->keys[i].read(r, key->value, s->arg);
		leave(r, before);
		return err;
	}
	for (i = 0; i < s->n_types; i++) {
		if (strncmp(s->types[i].path, path, n))
			continue;
		if (s->types[i].path[n] && s->types[i].path[n] != '.')
			continue;
		before = enter_key(r, key->text);
		if (!s->types[i].path[n]) {
			read_value(r, &s->types[i], key->value, &s->values[i]);
		} else if (is_map(r, key->value)) {
			strcat(path, ".");
			err = read_map(r, s, path, key->value);
		}
		leave(r, before);
		return err;
	}
	unknown_key(r, s, prefix, key);
	return 0;
}

static int read_map(struct reader *r, const struct scope *s, const char *prefix,
		    const struct node *map)
{
	const struct node *key;
	int err = 0;

	/* there are few keys: many are many errors, and the search for doubles stays short */
	for (key = map->first; key && !err && !r->errors.more; key = key->next)
		if (!seen_before(r, map, key))
			err = read_key(r, s, prefix, key);
	return err;
}

/* ---- a service ---- */

static int read_name(struct reader *r, const struct node *n, void *arg)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "-_.";
	struct policy_service *s = arg;
	char buf[SHOWN_SIZE];

	strcpy(s->name, "?"); /* there is one */
	if (!is_scalar(r, n))
		return 0;
	if (strlen(n->text) >= SERVICE_NAME_SIZE)
		complain_at(r, n, "%s is longer than %d characters", shown(n->text, buf),
			    SERVICE_NAME_SIZE - 1);
	else if (!*n->text || n->text[strspn(n->text, good)])
		complain_at(r, n, "%s is not a name of letters, digits, \"-\", \"_\" and \".\"",
			    shown(n->text, buf));
	else if (!n->text[strspn(n->text, "0123456789")])
		complain_at(r, n,
			    "%s: a number is the name of a service that the file does not have "
			    "(its port); add a letter",
			    shown(n->text, buf));
	else
		strcpy(s->name, n->text);
	return 0;
}

static void read_listen_entry(struct reader *r, const struct node *n, struct policy_listen *l)
{
	char why[ADDRESS_WHY_SIZE];

	l->origin = node_origin(n);
	if (is_scalar(r, n) && listen_parse(n->text, l, why)) {
		l->first = 0; /* never a port: matches nothing */
		l->last = 0;
		complain_at(r, n, "%s", why);
	}
}

static size_t count(const struct node *list)
{
	const struct node *n;
	size_t i = 0;

	for (n = list->first; n; n = n->next)
		i++;
	return i;
}

static int read_listen(struct reader *r, const struct node *list, void *arg)
{
	struct policy_service *s = arg;
	const struct node *n;
	size_t before, i = 0;

	if (!is_list(r, list))
		return 0;
	if (r->n_listen + count(list) > POLICY_LISTEN_MOST) {
		complain_at(r, list, "more than %d entries of all services' `listen`",
			    POLICY_LISTEN_MOST);
		return -E2BIG;
	}
	s->n_listen = count(list);
	r->n_listen += s->n_listen;
	s->listen = calloc(s->n_listen + 1, sizeof(*s->listen));
	if (!s->listen)
		return -ENOMEM;
	for (n = list->first; n; n = n->next, i++) {
		before = enter_index(r, i);
		read_listen_entry(r, n, &s->listen[i]);
		leave(r, before);
	}
	return 0;
}

/* As dev_valid_name() of the kernel has it. */
static void read_interface(struct reader *r, const struct node *n, char name[IFNAMSIZ])
{
	char buf[SHOWN_SIZE];

	if (!is_scalar(r, n))
		return;
	if (strlen(n->text) >= IFNAMSIZ)
		complain_at(r, n, "%s is longer than an interface's name: %d characters",
			    shown(n->text, buf), IFNAMSIZ - 1);
	else if (!*n->text || !strcmp(n->text, ".") || !strcmp(n->text, "..") ||
		 strpbrk(n->text, "/: \t\n\v\f\r"))
		complain_at(r, n, "%s is not the name of an interface", shown(n->text, buf));
	else
		strcpy(name, n->text);
}

static int read_interfaces(struct reader *r, const struct node *list, void *arg)
{
	struct policy_service *s = arg;
	const struct node *n;
	size_t before, i = 0;

	if (!is_list(r, list))
		return 0;
	if (count(list) > POLICY_INTERFACES_MOST) {
		complain_at(r, list, "more than %d interfaces", POLICY_INTERFACES_MOST);
		return 0;
	}
	s->n_interfaces = count(list);
	s->interfaces = calloc(s->n_interfaces + 1, sizeof(*s->interfaces));
	if (!s->interfaces)
		return -ENOMEM;
	for (n = list->first; n; n = n->next, i++) {
		before = enter_index(r, i);
		read_interface(r, n, s->interfaces[i]);
		leave(r, before);
	}
	return 0;
}

static int read_service(struct reader *r, const struct node *n, struct policy_service *s)
{
	static const struct key keys[] = {
		{"name", read_name}, {"listen", read_listen}, {"interfaces", read_interfaces}, {}};
	const struct scope scope = {service_types, s->v, SV_COUNT, keys, s};
	int err;

	s->origin = node_origin(n);
	if (n->type != NODE_MAP) {
		complain_at(r, n, "a mapping is expected: \"name: ...\", \"listen: ...\"");
		return 0;
	}
	err = read_map(r, &scope, "", n);
	if (!err && !*s->name)
		complain_at(r, n, "no `name`: every service has one, such as \"name: web\"");
	if (!err && (!find_key(n, "listen") || nothing(find_key(n, "listen")->value) ||
		     (find_key(n, "listen")->value->type == NODE_LIST && !s->n_listen)))
		complain_at(r, n, "no `listen`: say at what, such as \"listen: [ '*:80' ]\"");
	return err;
}

static int read_services(struct reader *r, const struct node *list, void *arg)
{
	struct policy *p = r->p;
	const struct node *n;
	size_t before;
	int err = 0;

	(void)arg;
	if (!is_list(r, list))
		return 0;
	p->services = calloc(POLICY_SERVICES_MOST, sizeof(*p->services));
	if (!p->services)
		return -ENOMEM;
	for (n = list->first; n && !err; n = n->next) {
		if (p->n_services == POLICY_SERVICES_MOST) {
			complain_at(r, n, "more than %d services", POLICY_SERVICES_MOST);
			break;
		}
		before = enter_index(r, p->n_services);
		err = read_service(r, n, &p->services[p->n_services++]);
		leave(r, before);
	}
	return err;
}

/* ---- everything else ---- */

static int read_defaults(struct reader *r, const struct node *n, void *arg)
{
	const struct scope scope = {service_types, r->p->defaults, SV_COUNT, NULL, NULL};

	(void)arg;
	return is_map(r, n) ? read_map(r, &scope, "", n) : 0;
}

static int read_prefixes(struct reader *r, const struct node *list, struct policy_prefixes *to)
{
	const struct node *n;
	size_t before, i = 0;
	int err = 0;

	if (!is_list(r, list))
		return 0;
	for (n = list->first; n && !err && !r->errors.more; n = n->next) {
		before = enter_index(r, i++);
		err = read_prefix(r, n, to);
		leave(r, before);
	}
	return err;
}

static int read_allow(struct reader *r, const struct node *n, void *arg)
{
	(void)arg;
	return read_prefixes(r, n, &r->p->allow);
}

static int read_deny(struct reader *r, const struct node *n, void *arg)
{
	(void)arg;
	return read_prefixes(r, n, &r->p->deny);
}

static int skip(struct reader *r, const struct node *n, void *arg)
{
	(void)r;
	(void)n;
	(void)arg;
	return 0;
}

static int read_version(struct reader *r, const struct node *root)
{
	const struct node *key = find_key(root, "version");
	char buf[SHOWN_SIZE];
	const char *at;
	u64 n;

	if (!key) {
		complain_at(r, root, "no `version`: \"version: 1\" is expected");
		return 0;
	}
	enter_key(r, "version");
	at = is_scalar(r, key->value) ? key->value->text : "1";
	if (!digits(&at, &n) || *at || n < 1) {
		complain_at(r, key->value, "%s is not 1", shown(key->value->text, buf));
	} else if (n > 1) { /* what else it says is not for us to judge */
		complain_at(r, key->value,
			    "%s is made for a newer synstile: this one knows version 1",
			    shown(key->value->text, buf));
		return -EINVAL;
	}
	leave(r, 0);
	return 0;
}

int read_policy(struct reader *r, const struct node *root)
{
	static const struct key keys[] = {
		{"version", skip},           {"defaults", read_defaults},
		{"services", read_services}, {"sources.allow", read_allow},
		{"sources.deny", read_deny}, {}};
	const struct scope scope = {host_types, r->p->host, HV_COUNT, keys, NULL};
	static const struct node start = {.line = 1, .column = 1};
	int err;

	if (!root || nothing(root)) {
		complain_at(r, &start, "the file is empty; the least is \"version: 1\"");
		return -EINVAL;
	}
	if (root->type != NODE_MAP) {
		complain_at(r, root, "a mapping is expected: lines of \"key: value\"");
		return -EINVAL;
	}
	err = read_version(r, root);
	return err ? err : read_map(r, &scope, "", root);
}
