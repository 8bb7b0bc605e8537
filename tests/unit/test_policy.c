// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy language: what is refused, with what words and where (policy/bad: NAME.yaml and
 * NAME.err); that what is read can be passed on and printed, and stays the same (policy/good);
 * services by address; differences; bounds. And that the manual and the example say what is so.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "log.h" /* before cmocka, which has a macro of the name of fail() */
#include "policy_address.h"
#include "policy_read.h"
#include "policy_value.h"
#include "policy_view.h"
#include "unit.h"

static char top[4096]; /* where the tests began: the top of the tree */

/* ---- texts from memory ---- */

struct memory_file {
	const char *name, *text;
	size_t size;
};

static int memory_text(void *arg, const char *name, size_t most, char **text, size_t *size)
{
	const struct memory_file *f;

	for (f = arg; f->name; f++) {
		if (strcmp(f->name, name) != 0)
			continue;
		*size = f->size ? f->size : strlen(f->text);
		if (*size > most)
			return -EFBIG;
		*text = malloc(*size + 1);
		memcpy(*text, f->text, *size);
		return 0;
	}
	return -ENOENT;
}

static int read_files(const struct memory_file *files, struct policy **p,
		      struct policy_errors *errors)
{
	const struct policy_source source = {.text = memory_text, .arg = (void *)files};

	fail_clear();
	return policy_read_from(files->name, &source, p, errors);
}

static struct policy *good(const char *text)
{
	const struct memory_file files[] = {{"p.yaml", text, 0}, {}};
	struct policy_errors errors;
	struct policy *p;

	if (read_files(files, &p, &errors) && errors.n)
		print_error("%s\n", errors.at[0]);
	assert_int_equal(errors.n, 0);
	assert_non_null(p);
	policy_errors_free(&errors);
	return p;
}

/* The only error of that text. */
static void refused(const struct memory_file *files, const char *error)
{
	struct policy_errors errors;
	struct policy *p;

	assert_int_equal(read_files(files, &p, &errors), -EINVAL);
	assert_null(p);
	assert_int_equal(errors.n, 1);
	assert_string_equal(errors.at[0], error);
	policy_errors_free(&errors);
}

static void refused_text(const char *text, const char *error)
{
	const struct memory_file files[] = {{"p.yaml", text, 0}, {}};

	refused(files, error);
}

/* ---- the files of a directory ---- */

static void enter(const char *dir)
{
	assert_int_equal(chdir(top), 0);
	assert_int_equal(chdir(dir), 0);
}

static size_t each_yaml(const char *dir, void (*fn)(const char *name))
{
	struct dirent **names;
	int i, n;
	size_t found = 0;

	enter(dir);
	n = scandir(".", &names, NULL, alphasort);
	assert_true(n > 0);
	for (i = 0; i < n; i++) {
		if (strstr(names[i]->d_name, ".yaml")) {
			fn(names[i]->d_name);
			found++;
		}
		free(names[i]);
	}
	free(names);
	enter(".");
	return found;
}

static char *whole(const char *name)
{
	FILE *f = fopen(name, "r");
	char *text = NULL;
	size_t room = 0;

	if (!f)
		print_error("no %s\n", name);
	assert_non_null(f);
	if (getdelim(&text, &room, 0, f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

static char *lines(const struct policy_errors *errors)
{
	char *text;
	size_t i, size;
	FILE *f = open_memstream(&text, &size);

	for (i = 0; i < errors->n; i++)
		fprintf(f, "%s\n", errors->at[i]);
	fclose(f);
	return text;
}

static void check_bad(const char *name)
{
	char expected[300], *want, *got;
	struct policy_errors errors;
	struct policy *p;

	snprintf(expected, sizeof(expected), "%.*s.err", (int)strcspn(name, "."), name);
	want = whole(expected);
	assert_int_equal(policy_read(name, &p, &errors), -EINVAL);
	assert_null(p);
	got = lines(&errors);
	if (strcmp(want, got) != 0)
		print_error("%s: expected\n%sgot\n%s", name, want, got);
	assert_string_equal(want, got);
	free(want);
	free(got);
	policy_errors_free(&errors);
}

static void bad_files(void **state)
{
	(void)state;
	assert_true(each_yaml("tests/unit/policy/bad", check_bad) >= 60);
}

static void same_policy(const struct policy *a, const struct policy *b)
{
	json_t *ja = policy_json(a), *jb = policy_json(b), *changes = policy_diff(a, b);

	assert_true(json_equal(ja, jb));
	assert_int_equal(json_array_size(changes), 0);
	json_decref(ja);
	json_decref(jb);
	json_decref(changes);
}

/* As the agent gets it: as text, under absolute names. */
static void check_bundle(const struct policy *p)
{
	json_t *bundle = policy_bundle(p), *read;
	struct policy_errors errors;
	struct policy *q;
	char *text;
	size_t i;

	assert_non_null(bundle);
	text = json_dumps(bundle, 0);
	read = json_loads(text, 0, NULL);
	assert_int_equal(policy_read_bundle(read, &q, &errors), 0);
	assert_int_equal(errors.n, 0);
	assert_int_equal(q->n_files, p->n_files);
	for (i = 0; i < q->n_files; i++)
		assert_int_equal(q->files[i].name[0], '/');
	same_policy(p, q);
	policy_free(q);
	policy_errors_free(&errors);
	free(text);
	json_decref(read);
	json_decref(bundle);
}

/* What `policy show` prints is a policy that means the same. */
static void check_printed(const char *name, const struct policy *p)
{
	json_t *j = policy_json(p), *changes;
	struct policy *q;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	policy_print(f, j, SIZE_MAX);
	fclose(f);
	q = good(text);
	changes = policy_diff(p, q);
	if (json_array_size(changes)) {
		print_error("%s printed is another policy:\n%s", name, text);
		json_dumpf(changes, stderr, 0);
	}
	assert_int_equal(json_array_size(changes), 0);
	json_decref(changes);
	json_decref(j);
	policy_free(q);
	free(text);
}

static void check_good(const char *name)
{
	struct policy_errors errors;
	struct policy *p;

	if (policy_read(name, &p, &errors) && errors.n)
		print_error("%s\n", errors.at[0]);
	assert_int_equal(errors.n, 0);
	assert_non_null(p);
	check_bundle(p);
	check_printed(name, p);
	policy_free(p);
	policy_errors_free(&errors);
}

static void good_files(void **state)
{
	(void)state;
	assert_true(each_yaml("tests/unit/policy/good", check_good) >= 10);
}

/* ---- values ---- */

static void values(void **state)
{
	static const struct {
		enum value_kind kind;
		const char *text;
		u64 n;
		const char *again; /* as value_text() has it; NULL: the same */
	} rows[] = {
		{KIND_TIME, "0s", 0, NULL},
		{KIND_TIME, "500ms", 500, NULL},
		{KIND_TIME, "1000ms", 1000, "1s"},
		{KIND_TIME, "63s", 63000, NULL},
		{KIND_TIME, "60s", 60000, "1m"},
		{KIND_TIME, "5m", 300000, NULL},
		{KIND_TIME, "24h", 86400000, NULL},
		{KIND_RATE, "200/s", 200, NULL},
		{KIND_RATE, "12000/m", 200, "200/s"},
		{KIND_RATE, "3600/h", 1, "1/s"},
		{KIND_RATE, "0/s", 0, NULL},
		{KIND_COUNT, "4096", 4096, NULL},
		{KIND_COUNT, "0", 0, NULL},
		{KIND_PERCENT, "20%", 20, NULL},
		{KIND_BOOL, "true", 1, NULL},
		{KIND_BOOL, "false", 0, NULL},
		{KIND_MODE, "observe", MODE_OBSERVE, NULL},
		{KIND_MODE, "auto", MODE_AUTO, NULL},
		{KIND_MODE, "always", MODE_ALWAYS, NULL},
	};
	char buf[VALUE_TEXT_SIZE], why[VALUE_WHY_SIZE];
	struct value_type t = {.path = "x", .most = UINT64_MAX / 32};
	u64 n;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		t.kind = rows[i].kind;
		assert_int_equal(value_parse(&t, rows[i].text, &n, why), 0);
		assert_int_equal(n, rows[i].n);
		assert_string_equal(value_text(t.kind, n, buf),
				    rows[i].again ? rows[i].again : rows[i].text);
	}
}

static void check_table(const struct value_type *types, size_t n)
{
	char buf[VALUE_TEXT_SIZE], why[VALUE_WHY_SIZE], follows[80];
	u64 read, at[3];
	size_t i, j;

	for (i = 0; i < n; i++) {
		const struct value_type *t = &types[i];

		at[0] = t->least;
		at[1] = t->most;
		at[2] = t->built_in;
		for (j = 0; j < 3; j++) {
			if (j == 2 && value_follows(t, follows, sizeof(follows)))
				continue; /* may be out of range: no number */
			value_text(t->kind, at[j], buf);
			if (value_parse(t, buf, &read, why))
				print_error("%s: %s\n", t->path, why);
			assert_int_equal(value_parse(t, buf, &read, why), 0);
			assert_int_equal(read, at[j]);
		}
	}
}

/* The ends of every range and what is built in can be written. */
static void tables(void **state)
{
	(void)state;
	check_table(service_types, SV_COUNT);
	check_table(host_types, HV_COUNT);
}

static void built_in(void **state)
{
	struct policy *p = policy_built_in(), *minimal = good("version: 1");
	size_t i;

	(void)state;
	for (i = 0; i < SV_COUNT; i++) {
		assert_int_equal(p->defaults[i].n, service_types[i].built_in);
		assert_int_equal(p->defaults[i].origin.from, ORIGIN_BUILT_IN);
	}
	for (i = 0; i < HV_COUNT; i++)
		assert_int_equal(p->host[i].n, host_types[i].built_in);
	assert_null(policy_find(p, &(struct addr){}, 80, NULL));
	assert_false(policy_port_by_interface(p, 80));
	same_policy(p, minimal);
	policy_free(p);
	policy_free(minimal);
}

/* What nobody chose follows what somebody did. */
static void derived(void **state)
{
	struct policy *p = good("version: 1\n"
				"defaults:\n"
				"  syn_timeout: { calm: 2s }\n"
				"  syn_rate: { attack_above: 100/s }\n"
				"services:\n"
				"  - name: a\n"
				"    listen: [ '*:1' ]\n"
				"    half_open: { attack_above: 3 }\n"
				"    syn_rate: { attack_above: 50/s }\n"
				"    syn_timeout: { calm: 4s }\n");
	const struct value *d = p->defaults, *a = p->services[0].v;

	(void)state;
	assert_int_equal(d[SV_SYN_ATTACK].n, 2000);
	assert_int_equal(d[SV_RATE_CALM].n, 20);
	assert_int_equal(d[SV_RATE_CALM].origin.from, ORIGIN_BUILT_IN);
	assert_int_equal(d[SV_HALF_OPEN_CALM].n, 64);
	assert_int_equal(a[SV_HALF_OPEN_CALM].n, 1);
	assert_int_equal(a[SV_RATE_CALM].n, 10);
	assert_int_equal(a[SV_SYN_ATTACK].n, 3000);
	policy_free(p);
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		size_t good;
	} rows[] = {
		{"", 0},
		{"a\x7f", 2},
		{"\xc2\x80\xdf\xbf", 4},
		{"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12},
		{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
		{"a\x80", 1},             /* nothing begins so */
		{"a\xc1\xbf", 1},         /* overlong */
		{"a\xe0\x9f\xbf", 1},     /* overlong */
		{"a\xed\xa0\x80", 1},     /* a surrogate */
		{"a\xf0\x8f\xbf\xbf", 1}, /* overlong */
		{"a\xf4\x90\x80\x80", 1}, /* behind U+10FFFF */
		{"a\xf5\x80\x80\x80", 1},
		{"a\xe2\x82", 1}, /* cut off */
		{"a\xe2\x82"
		 "b",
		 1},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(utf8_until(rows[i].text, strlen(rows[i].text)), rows[i].good);
}

/* Told once, where it is said first. */
static void prefixes_twice(void **state)
{
	const struct memory_file files[] = {
		{"p.yaml",
		 "version: 1\nsources: { allow: [ 192.0.2.2, 192.0.2.1, file: list, "
		 "192.0.2.2, 192.0.2.1/32 ] }\n",
		 0},
		{"list", "192.0.2.3\n192.0.2.2\n192.0.2.3\n192.0.2.0\n", 0},
		{}};
	struct policy_errors errors;
	struct policy *p;
	size_t i;

	(void)state;
	assert_int_equal(read_files(files, &p, &errors), 0);
	assert_int_equal(p->allow.n, 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(p->allow.at[i].addr.b[15], i);
	assert_int_equal(p->allow.at[2].origin.file, 0);
	assert_int_equal(p->allow.at[2].origin.column, 21);
	assert_int_equal(p->allow.at[3].origin.file, 1);
	assert_int_equal(p->allow.at[3].origin.line, 1);
	policy_free(p);
	policy_errors_free(&errors);
}

static void contains(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool yes;
	} rows[] = {
		{"10.0.0.0/8", "10.1.0.0/16", true},
		{"10.0.0.0/8", "10.0.0.0/8", true},
		{"10.1.0.0/16", "10.0.0.0/8", false},
		{"10.0.0.0/9", "10.128.0.0/16", false},
		{"0.0.0.0/0", "192.0.2.1", true},
		{"::/0", "192.0.2.1", false},
		{"::/0", "2001:db8::1", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"192.0.2.1", "192.0.2.1", true},
	};
	struct policy_prefix outer, inner;
	char why[ADDRESS_WHY_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(prefix_parse(rows[i].outer, &outer, why), 0);
		assert_int_equal(prefix_parse(rows[i].inner, &inner, why), 0);
		assert_int_equal(prefix_contains(&outer, &inner), rows[i].yes);
	}
}

/* ---- options of the command line ---- */

static void options(void **state)
{
	struct policy *p = good("version: 1\n"
				"defaults: { mode: observe }\n"
				"services:\n"
				"  - { name: own, listen: [ '*:1' ], mode: observe }\n"
				"  - { name: follows, listen: [ '*:2' ] }\n"
				"keys: { life: 10m }\n");
	struct policy *q = good("version: 1\nservices: [ { name: a, listen: [ '*:1' ] } ]\n");

	(void)state;
	policy_set_option(p, SV_MODE, MODE_ALWAYS);
	assert_int_equal(p->defaults[SV_MODE].n, MODE_ALWAYS);
	assert_int_equal(p->defaults[SV_MODE].origin.from, ORIGIN_OPTION);
	assert_int_equal(p->services[0].v[SV_MODE].n, MODE_OBSERVE);
	assert_int_equal(p->services[1].v[SV_MODE].n, MODE_ALWAYS);
	policy_set_option(p, SV_MODE, MODE_AUTO); /* again: what follows an option follows on */
	assert_int_equal(p->services[0].v[SV_MODE].n, MODE_OBSERVE);
	assert_int_equal(p->services[1].v[SV_MODE].n, MODE_AUTO);
	policy_set_host_option(p, HV_KEY_LIFE, 300000);
	assert_int_equal(p->host[HV_KEY_LIFE].n, 300000);
	assert_int_equal(p->host[HV_KEY_LIFE].origin.from, ORIGIN_OPTION);
	policy_set_option(q, SV_RATE_ATTACK, 500); /* and what is derived from it */
	assert_int_equal(q->services[0].v[SV_RATE_ATTACK].n, 500);
	assert_int_equal(q->services[0].v[SV_RATE_CALM].n, 100);
	policy_free(p);
	policy_free(q);
}

/* ---- services by address ---- */

static struct addr address(const char *text)
{
	struct policy_prefix p;
	char why[ADDRESS_WHY_SIZE];

	assert_int_equal(prefix_parse(text, &p, why), 0);
	return p.addr;
}

static const char *found(const struct policy *p, const char *addr, u16 port, const char *interface)
{
	const struct addr a = address(addr);
	const struct policy_service *s = policy_find(p, &a, port, interface);

	return s ? s->name : "none";
}

static void find(void **state)
{
	static const struct {
		const char *addr;
		u16 port;
		const char *interface, *service;
	} rows[] = {
		{"192.0.2.1", 80, NULL, "one"},       {"192.0.2.1", 81, "eth0", "one"},
		{"192.0.2.2", 80, NULL, "four"},      {"2001:db8::1", 80, NULL, "six"},
		{"192.0.2.1", 89, NULL, "one"},       {"192.0.2.1", 90, NULL, "none"},
		{"2001:db8::5", 443, "eth1", "lan"},  {"2001:db8::5", 443, "eth2", "lan"},
		{"2001:db8::5", 443, "eth0", "any"},  {"2001:db8::5", 443, NULL, "any"},
		{"198.51.100.9", 443, "eth9", "any"}, {"127.0.0.1", 8123, NULL, "range"},
		{"::1", 8123, NULL, "range"},         {"127.0.0.1", 8200, NULL, "single"},
		{"127.0.0.1", 65535, NULL, "single"},
	};
	struct policy *p =
		good("version: 1\n"
		     "services:\n"
		     "  - { name: one, listen: [ '192.0.2.1:80-89' ] }\n"
		     "  - { name: four, listen: [ '0.0.0.0:80' ] }\n"
		     "  - { name: six, listen: [ '[::]:80' ] }\n"
		     "  - { name: lan, listen: [ '*:443' ], interfaces: [ eth1, eth2 ] }\n"
		     "  - { name: any, listen: [ '*:443' ] }\n"
		     "  - { name: range, listen: [ '*:8100-8199' ] }\n"
		     "  - { name: single, listen: [ '*:8200', '*:65535' ] }\n");
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(found(p, rows[i].addr, rows[i].port, rows[i].interface),
				    rows[i].service);
	assert_true(policy_port_by_interface(p, 443));
	assert_false(policy_port_by_interface(p, 80));
	assert_false(policy_port_by_interface(p, 442));
	policy_free(p);
}

/* The definition, without an index. */
static const struct policy_service *find_slowly(const struct policy *p, const struct addr *a,
						u16 port, const char *interface)
{
	const struct policy_service *s;
	const struct policy_listen *l;
	size_t i, j, k;
	bool here;

	for (i = 0; i < p->n_services; i++) {
		s = &p->services[i];
		for (here = !s->n_interfaces, k = 0; k < s->n_interfaces; k++)
			here |= interface && !strcmp(s->interfaces[k], interface);
		for (j = 0; here && j < s->n_listen; j++) {
			l = &s->listen[j];
			if (port < l->first || port > l->last)
				continue;
			if (l->what == LISTEN_ANY || (l->what == LISTEN_IPV4 && addr_is_ipv4(a)) ||
			    (l->what == LISTEN_IPV6 && !addr_is_ipv4(a)) ||
			    (l->what == LISTEN_ADDRESS && !memcmp(&l->addr, a, sizeof(*a))))
				return s;
		}
	}
	return NULL;
}

static const char *const some_addresses[] = {"*",         "0.0.0.0",   "[::]",
					     "192.0.2.1", "192.0.2.2", "[2001:db8::1]"};
static const char *const some_interfaces[] = {NULL, "a", "b"};

/* Random services of which each can match; those that cannot are left out. */
static struct policy *random_policy(u64 *rnd)
{
	char *text, *before;
	size_t size, i;
	struct policy_errors errors;
	struct policy *p = NULL, *q;

	before = strdup("version: 1\nservices:\n");
	for (i = 0; i < 25; i++) {
		FILE *f = open_memstream(&text, &size);
		u32 first = 1 + random_below(rnd, 6), width = random_below(rnd, 3);
		const char *interface = some_interfaces[random_below(rnd, 3)];

		fprintf(f, "%s  - { name: s%zu, listen: [ '%s:%u-%u' ]", before, i,
			some_addresses[random_below(rnd, 6)], first, first + width);
		fprintf(f, interface ? ", interfaces: [ %s ] }\n" : " }\n", interface);
		fclose(f);
		const struct memory_file files[] = {{"p.yaml", text, 0}, {}};

		if (!read_files(files, &q, &errors)) {
			policy_free(p);
			p = q;
			free(before);
			before = text;
		} else {
			free(text);
		}
		policy_errors_free(&errors);
	}
	free(before);
	return p;
}

static void find_as_defined(void **state)
{
	static const char *const addrs[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1",
					    "2001:db8::2"};
	u64 rnd = 20251122;
	size_t round, a, i;
	struct policy *p;
	u16 port;

	(void)state;
	for (round = 0; round < 40; round++) {
		p = random_policy(&rnd);
		for (a = 0; a < ARRAY_SIZE(addrs); a++) {
			const struct addr addr = address(addrs[a]);

			for (port = 1; port < 10; port++)
				for (i = 0; i < ARRAY_SIZE(some_interfaces); i++)
					assert_ptr_equal(
						policy_find(p, &addr, port, some_interfaces[i]),
						find_slowly(p, &addr, port, some_interfaces[i]));
		}
		policy_free(p);
	}
}

/* ---- JSON ---- */

static const char *string_at(const json_t *j, const char *a, const char *b, const char *c)
{
	j = json_object_get(j, a);
	if (b)
		j = json_object_get(j, b);
	return json_string_value(json_object_get(j, c));
}

static void json(void **state)
{
	struct policy *p = good("version: 1\n"
				"defaults: { mode: always, syn_timeout: { calm: 10s } }\n"
				"services:\n"
				"  - name: web\n"
				"    listen: [ '[2001:db8::1]:80-90' ]\n"
				"    interfaces: [ eth0 ]\n"
				"sources: { deny: [ 10.0.0.0/8 ], verified_for: 5m }\n");
	json_t *j = policy_json(p), *web = json_array_get(json_object_get(j, "services"), 0), *deny;
	json_t *open = json_object_get(json_object_get(j, "defaults"), "half_open");

	(void)state;
	assert_string_equal(string_at(j, "defaults", "mode", "value"), "always");
	assert_string_equal(string_at(j, "defaults", "mode", "from"), "p.yaml:2:19");
	assert_string_equal(string_at(j, "defaults", "hold", "from"), "built in");
	assert_string_equal(string_at(web, "mode", NULL, "from"), "p.yaml:2:19");
	assert_string_equal(string_at(web, "syn_timeout", "calm", "value"), "10s");
	assert_string_equal(string_at(web, "name", NULL, "value"), "web");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(open, "attack_above"), "value")),
		256);
	assert_string_equal(string_at(open, "attack_above", NULL, "follows"),
			    "half the listener's backlog, 256 at most");
	assert_true(json_is_null(json_object_get(
		json_object_get(json_object_get(j, "kernel"), "somaxconn"), "value")));
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(web, "listen"), 0), "value")),
			    "[2001:db8::1]:80-90");
	deny = json_object_get(json_object_get(j, "sources"), "deny");
	assert_int_equal(json_array_size(deny), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(deny, 0), "value")),
			    "10.0.0.0/8");
	assert_string_equal(string_at(j, "sources", "verified_for", "value"), "5m");
	json_decref(j);
	policy_free(p);
}

/* ---- differences ---- */

#define TWO                                                                                        \
	"version: 1\nservices:\n  - { name: a, listen: [ '*:1' ] }\n"                              \
	"  - { name: b, listen: [ '*:2' ] }\n"

static void diff(void **state)
{
	static const struct {
		const char *from, *to, *changes;
	} rows[] = {
		{TWO, TWO, "no change\n"},
		{TWO, "# the same elsewhere\n" TWO "defaults: { mode: auto }\n", "no change\n"},
		{TWO, TWO "defaults: { mode: always }\n", "defaults.mode: auto -> always\n"},
		{TWO, TWO "    # b\n    # no more\nkernel: { somaxconn: 4096 }\n",
		 "kernel.somaxconn: built in -> 4096\n"},
		{TWO, TWO "defaults: { half_open: { attack_above: 256 } }\n",
		 "defaults.half_open.attack_above: 256 (built in) -> 256\n"},
		{TWO,
		 "version: 1\nservices:\n  - { name: a, listen: [ '*:1', '*:3' ], mode: always }\n"
		 "  - { name: b, listen: [ '*:2' ], interfaces: [ eth0, eth1 ] }\n",
		 "services.a.listen: *:1 -> *:1, *:3\nservices.a.mode: auto -> always\n"
		 "services.b.interfaces: all -> eth0, eth1\n"},
		{TWO,
		 "version: 1\nservices:\n  - { name: b, listen: [ '*:2' ] }\n"
		 "  - { name: a, listen: [ '*:1' ] }\n",
		 "services: one order -> another order\n"},
		{TWO,
		 "version: 1\nservices:\n  - { name: c, listen: [ '*:9' ], hold: 5s }\n"
		 "  - { name: b, listen: [ '*:2' ] }\n",
		 "services.a: - *:1\nservices.c: + *:9\nservices.c.hold: 10s -> 5s\n"},
		{TWO "sources: { deny: [ 10.0.0.0/8, 192.0.2.1 ] }\n",
		 TWO "sources: { allow: [ 10.0.0.0/8 ], deny: [ 192.0.2.1, '2001:db8::/32' ] }\n",
		 "sources.allow: + 10.0.0.0/8\nsources.deny: - 10.0.0.0/8\n"
		 "sources.deny: + 2001:db8::/32\n"},
	};
	struct policy *from, *to;
	json_t *changes;
	size_t i, size;
	char *text;
	FILE *f;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		from = good(rows[i].from);
		to = good(rows[i].to);
		changes = policy_diff(from, to);
		f = open_memstream(&text, &size);
		policy_print_changes(f, changes);
		fclose(f);
		assert_string_equal(text, rows[i].changes);
		free(text);
		json_decref(changes);
		policy_free(from);
		policy_free(to);
	}
}

/* ---- a lot ---- */

/* The IPv6 ones are in the policy itself, the others in a list; each at the line that its number
 * tells. */
static void write_big(FILE *policy, FILE *list, u32 prefixes, u32 services)
{
	u32 i;

	fprintf(policy, "version: 1\nsources:\n  deny:\n  - file: list\n");
	for (i = 0; i < prefixes / 2; i++) {
		fprintf(policy, "  - \"2001:db8:%x::/48\"\n", i);
		fprintf(list, "10.%u.%u.0/24\n", i >> 8 & 255, i & 255);
	}
	fprintf(policy, "services:\n");
	for (i = 0; i < services; i++)
		fprintf(policy, "  - { name: s%u, listen: [ '*:%u', '192.0.2.1:%u' ] }\n", i, i + 1,
			i + 10000);
}

static void big(void **state)
{
	struct memory_file files[] = {{"big.yaml", NULL, 0}, {"list", NULL, 0}, {}};
	char *policy, *list, buf[ADDRESS_TEXT_SIZE];
	size_t size[2], i;
	FILE *f[2] = {open_memstream(&policy, &size[0]), open_memstream(&list, &size[1])};
	struct policy_errors errors;
	struct policy *p, *none = policy_built_in();
	json_t *changes;

	(void)state;
	write_big(f[0], f[1], 64000, 1000);
	fclose(f[0]);
	fclose(f[1]);
	files[0].text = policy;
	files[1].text = list;
	assert_int_equal(read_files(files, &p, &errors), 0);
	assert_int_equal(p->deny.n, 64000);
	assert_int_equal(p->n_services, 1000);
	for (i = 1; i < p->deny.n; i++)
		assert_true(prefix_compare(&p->deny.at[i - 1], &p->deny.at[i]) < 0);
	assert_string_equal(prefix_text(&p->deny.at[31999], buf), "10.124.255.0/24");
	assert_int_equal(p->deny.at[31999].origin.file, 1);
	assert_int_equal(p->deny.at[31999].origin.line, 32000);
	assert_string_equal(found(p, "198.51.100.1", 1000, NULL), "s999");
	assert_string_equal(found(p, "192.0.2.1", 10999, NULL), "s999");
	changes = policy_diff(none, p);
	assert_int_equal(json_array_size(changes), 1000 + 1000 + 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(changes, 2000), "more")),
			 63000);
	json_decref(changes);
	check_bundle(p);
	policy_free(p);
	policy_free(none);
	policy_errors_free(&errors);
	free(policy);
	free(list);
}

/* Something often enough to be too much. */
static char *repeated(const char *begin, const char *fmt, u32 n, const char *end)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	u32 i;

	fprintf(f, "%s", begin);
	for (i = 0; i < n; i++)
		fprintf(f, fmt, i, i);
	fprintf(f, "%s", end);
	fclose(f);
	return text;
}

static void too_many_of(const char *begin, const char *fmt, u32 n, const char *end,
			const char *error)
{
	char *text = repeated(begin, fmt, n, end);

	refused_text(text, error);
	free(text);
}

static void too_many(void **state)
{
	(void)state;
	too_many_of("version: 1\nservices:\n", "  - { name: s%u, listen: [ '*:1%04u' ] }\n", 1001,
		    "", "p.yaml:1003:5: services: more than 1000 services");
	too_many_of("version: 1\nservices:\n  - name: web\n    listen: [", "'*:%u',", 16385, "]\n",
		    "p.yaml:4:13: services[0].listen: more than 16384 entries of all services' "
		    "`listen`");
	too_many_of("version: 1\nservices:\n  - name: web\n    listen: [ '*:80' ]\n"
		    "    interfaces: [",
		    "eth%u,", 65, "]\n",
		    "p.yaml:5:17: services[0].interfaces: more than 64 interfaces");
	too_many_of("version: 1\nsources: { deny: [", "1,", 1500000, "] }\n",
		    "p.yaml:2:3000005: too many values in one file: put prefixes in a list file");
}

static void too_many_prefixes(void **state)
{
	struct memory_file files[] = {
		{"p.yaml", "version: 1\nsources: { deny: [ file: list ] }", 0},
		{"list", NULL, 0},
		{}};
	char *list = repeated("", "10.0.0.1\n", 1000001, "");

	(void)state;
	files[1].text = list;
	refused(files, "list:1000001:1: more than 1000000 prefixes in all");
	free(list);
	list = repeated("", "# some comment\n", POLICY_BYTES_MOST / 15, "");
	files[1].text = list;
	refused(files,
		"p.yaml:2:26: sources.deny[0]: \"list\" is too large: all files together may "
		"have 16 MB");
	files[0].text = list;
	{
		struct policy_errors errors;
		struct policy *p;

		files[0].size = POLICY_BYTES_MOST + 1;
		assert_int_equal(read_files(files, &p, &errors), -EFBIG);
		assert_int_equal(errors.n, 0);
		assert_string_equal(fail_reason(0), "p.yaml is too large: a policy may have 16 MB "
						    "with its lists");
	}
	free(list);
}

static int any_text(void *arg, const char *name, size_t most, char **text, size_t *size)
{
	(void)most;
	*text = strdup(!strcmp(name, "p.yaml") ? arg : "");
	*size = strlen(*text);
	return 0;
}

static void too_many_lists(void **state)
{
	char *text = repeated("version: 1\nsources: { deny: [\n", "  file: l%u,\n", 256, "] }\n");
	const struct policy_source source = {.text = any_text, .arg = text};
	struct policy_errors errors;
	struct policy *p;

	(void)state;
	assert_int_equal(policy_read_from("p.yaml", &source, &p, &errors), -EINVAL);
	assert_int_equal(errors.n, 1);
	assert_string_equal(errors.at[0],
			    "p.yaml:258:9: sources.deny[255]: more than 255 list files");
	policy_errors_free(&errors);
	free(text);
}

/* ---- what cannot be read at all ---- */

static void no_file(void **state)
{
	struct policy_errors errors;
	struct policy *p;

	(void)state;
	fail_clear();
	assert_int_equal(policy_read("nowhere/p.yaml", &p, &errors), -ENOENT);
	assert_null(p);
	assert_int_equal(errors.n, 0);
	assert_string_equal(fail_reason(0), "nowhere/p.yaml: No such file or directory");
	fail_clear();
	assert_int_equal(policy_read(".", &p, &errors), -EISDIR);
	fail_clear();
}

/* A file of the disk, of which only as much is read as may be. */
static void large_file(void **state)
{
	char name[] = "/tmp/synstile-test-policy-XXXXXX";
	int fd = mkstemp(name);
	struct policy_errors errors;
	struct policy *p;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, POLICY_BYTES_MOST + 1), 0);
	fail_clear();
	assert_int_equal(policy_read(name, &p, &errors), -EFBIG);
	fail_clear();
	close(fd);
	unlink(name);
}

static void no_bundle(void **state)
{
	static const char *const texts[] = {"{}", "[]", "{\"files\": []}", "{\"files\": [1]}",
					    "{\"files\": [{\"text\": \"version: 1\"}]}"};
	struct policy_errors errors;
	struct policy *p;
	json_t *j;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		j = json_loads(texts[i], 0, NULL);
		assert_int_equal(policy_read_bundle(j, &p, &errors), -EINVAL);
		assert_null(p);
		assert_int_equal(errors.n, 1);
		policy_errors_free(&errors);
		json_decref(j);
	}
	j = json_loads("{\"files\": [{\"name\": \"/p.yaml\", \"text\": 7}]}", 0, NULL);
	fail_clear();
	assert_int_equal(policy_read_bundle(j, &p, &errors), -ENOENT);
	fail_clear();
	json_decref(j);
}

/* ---- what is written about it ---- */

/* "1s to 24h, default: 63s." */
static void range_text(const struct value_type *t, char *buf, size_t size)
{
	char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE], otherwise[80];

	if (!value_follows(t, otherwise, sizeof(otherwise)))
		value_text(t->kind, t->built_in, otherwise);
	value_text(t->kind, t->least, least);
	value_text(t->kind, t->most, most);
	if (t->kind == KIND_MODE)
		snprintf(buf, size, "observe, auto or always, default: %s.", otherwise);
	else if (t->kind == KIND_BOOL)
		snprintf(buf, size, "true or false, default: %s.", otherwise);
	else
		snprintf(buf, size, "%s to %s, default: %s.", least, most, otherwise);
}

static void in_manual(const char *manual, const struct value_type *types, size_t n)
{
	char range[256], entry[400];
	size_t i;

	for (i = 0; i < n; i++) {
		range_text(&types[i], range, sizeof(range));
		snprintf(entry, sizeof(entry), "\n\n*%s*\n\t%s ", types[i].path, range);
		if (!strstr(manual, entry))
			print_error("docs/synstile.yaml.5.scd lacks\n%s", entry);
		assert_non_null(strstr(manual, entry));
	}
}

static void manual(void **state)
{
	char *text = whole("docs/synstile.yaml.5.scd");

	(void)state;
	in_manual(text, service_types, SV_COUNT);
	in_manual(text, host_types, HV_COUNT);
	free(text);
}

/* "#" and two blanks begin what an operator may want to uncomment, "#" and one prose. */
static char *uncommented(const char *text)
{
	char *whole_text = strdup(text), *to = whole_text;
	const char *at = text;

	while (*at) {
		if (!strncmp(at, "#  ", 3))
			at++;
		while (*at && *at != '\n')
			*to++ = *at++;
		if (*at)
			*to++ = *at++;
	}
	*to = 0;
	return whole_text;
}

/* As it is, the example changes nothing but what it says; and all that it offers is right. */
static void example(void **state)
{
	char *text = whole("packaging/policy.yaml"), *more = uncommented(text);
	struct policy *p = good(text), *none = policy_built_in(), *all = good(more);
	json_t *changes = policy_diff(none, p), *change;
	size_t i;

	(void)state;
	json_array_foreach (changes, i, change)
		print_error("packaging/policy.yaml changes %s\n",
			    json_string_value(json_object_get(change, "path")));
	assert_int_equal(json_array_size(changes), 0);
	assert_true(all->n_services >= 2 && all->allow.n && all->deny.n);
	assert_true(strlen(more) + 10 < strlen(text));
	json_decref(changes);
	policy_free(p);
	policy_free(none);
	policy_free(all);
	free(text);
	free(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files),
		cmocka_unit_test(good_files),
		cmocka_unit_test(values),
		cmocka_unit_test(tables),
		cmocka_unit_test(built_in),
		cmocka_unit_test(derived),
		cmocka_unit_test(options),
		cmocka_unit_test(find),
		cmocka_unit_test(find_as_defined),
		cmocka_unit_test(json),
		cmocka_unit_test(diff),
		cmocka_unit_test(big),
		cmocka_unit_test(too_many),
		cmocka_unit_test(too_many_prefixes),
		cmocka_unit_test(too_many_lists),
		cmocka_unit_test(no_file),
		cmocka_unit_test(large_file),
		cmocka_unit_test(utf8),
		cmocka_unit_test(prefixes_twice),
		cmocka_unit_test(contains),
		cmocka_unit_test(no_bundle),
		cmocka_unit_test(manual),
		cmocka_unit_test(example),
	};

	if (!getcwd(top, sizeof(top)))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
