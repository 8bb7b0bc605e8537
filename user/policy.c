// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "policy.h"
#include "policy_read.h"
#include "policy_value.h"

/* ---- what nobody chose ---- */

static void set_built_in(struct value *v, const struct value_type *types, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = (struct value){.n = types[i].built_in};
}

static bool chosen(const struct value *v)
{
	return v->origin.from != ORIGIN_BUILT_IN;
}

/* A lower bound that nobody chose lies below the upper one. */
static void derive(struct value v[SV_COUNT])
{
	static const struct {
		enum service_value which, from;
		u64 divisor;
	} lower[] = {{SV_HALF_OPEN_CALM, SV_HALF_OPEN_ATTACK, 4},
		     {SV_RATE_CALM, SV_RATE_ATTACK, 5}};
	struct value *attack = &v[SV_SYN_ATTACK];
	size_t i;

	for (i = 0; i < sizeof(lower) / sizeof(*lower); i++) {
		struct value *low = &v[lower[i].which];

		if (chosen(low) || v[lower[i].from].n == VALUE_WRONG)
			continue;
		low->n = v[lower[i].from].n / lower[i].divisor;
		if (!low->n)
			low->n = 1;
	}
	if (!chosen(attack)) {
		attack->n = service_types[SV_SYN_ATTACK].built_in;
		if (attack->n > v[SV_SYN_CALM].n)
			attack->n = v[SV_SYN_CALM].n;
	}
}

void policy_derive(struct policy *p)
{
	size_t i;

	derive(p->defaults);
	for (i = 0; i < p->n_services; i++)
		derive(p->services[i].v);
}

struct policy *policy_built_in(void)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	set_built_in(p->defaults, service_types, SV_COUNT);
	set_built_in(p->host, host_types, HV_COUNT);
	derive(p->defaults);
	return p;
}

void policy_free(struct policy *p)
{
	size_t i;

	if (!p)
		return;
	for (i = 0; i < p->n_services; i++) {
		free(p->services[i].listen);
		free(p->services[i].interfaces);
	}
	for (i = 0; i < p->n_files; i++) {
		free(p->files[i].name);
		free(p->files[i].text);
	}
	free(p->services);
	free(p->allow.at);
	free(p->deny.at);
	free(p->files);
	policy_index_free(p->index);
	free(p);
}

/* ---- options of the command line ---- */

bool origin_same(const struct origin *a, const struct origin *b)
{
	return a->from == b->from && a->file == b->file && a->line == b->line &&
	       a->column == b->column;
}

void policy_set_option(struct policy *p, enum service_value which, u64 n)
{
	const struct value option = {.n = n, .origin.from = ORIGIN_OPTION};
	struct origin before = p->defaults[which].origin;
	size_t i;

	p->defaults[which] = option;
	for (i = 0; i < p->n_services; i++)
		if (origin_same(&p->services[i].v[which].origin, &before))
			p->services[i].v[which] = option;
	policy_derive(p);
}

void policy_set_host_option(struct policy *p, enum host_value which, u64 n)
{
	p->host[which] = (struct value){.n = n, .origin.from = ORIGIN_OPTION};
}

/* ---- reading ---- */

int read_file(struct reader *r, const char *name, struct policy_file **file)
{
	struct policy *p = r->p;
	struct policy_file *f;
	int err;

	if (p->n_files == POLICY_FILES_MOST)
		return -E2BIG;
	f = realloc(p->files, (p->n_files + 1) * sizeof(*f));
	if (!f)
		return -ENOMEM;
	p->files = f;
	f += p->n_files;
	*f = (struct policy_file){.name = strdup(name)};
	if (!f->name)
		return -ENOMEM;
	err = r->source->text(r->source->arg, name, POLICY_BYTES_MOST - r->bytes, &f->text,
			      &f->size);
	if (err) {
		free(f->name);
		return err;
	}
	r->bytes += f->size;
	p->n_files++;
	*file = f;
	return 0;
}

/* What a service does not say itself. */
static void inherit(struct policy *p)
{
	size_t i, j;

	for (i = 0; i < p->n_services; i++)
		for (j = 0; j < SV_COUNT; j++)
			if (!chosen(&p->services[i].v[j]))
				p->services[i].v[j] = p->defaults[j];
}

static int read_text(struct reader *r, const struct policy_file *f)
{
	struct tree tree;
	int err = tree_read(&tree, f->text, f->size, &r->errors);

	if (!err)
		err = read_policy(r, tree.root);
	tree_free(&tree);
	if (err)
		return err;
	inherit(r->p);
	policy_derive(r->p);
	prefixes_sort(&r->p->allow);
	prefixes_sort(&r->p->deny);
	err = policy_index_make(r->p);
	return err ? err : policy_check(r);
}

static int no_file(const char *name, int err)
{
	if (err == -EFBIG)
		return fail(EFBIG, "%s is too large: a policy may have %d MB with its lists", name,
			    POLICY_BYTES_MOST >> 20);
	if (err == -EACCES && !geteuid())
		return fail(EACCES,
			    "%s: permission denied: root itself must be able to read it "
			    "(chown root)",
			    name);
	return fail(-err, "%s: %s", name, strerror(-err));
}

/* Reads all, and leaves nothing but r->p and r->errors. */
static int read_all(struct reader *r, const char *name)
{
	struct policy_file *f;
	int err;

	r->p = policy_built_in();
	if (!r->p)
		return -ENOMEM;
	err = read_file(r, name, &f);
	if (err)
		return err == -ENOMEM ? err : no_file(name, err);
	err = read_text(r, f);
	if (r->errors.n)
		return -EINVAL;
	return err;
}

int policy_read_from(const char *name, const struct policy_source *source, struct policy **p,
		     struct policy_errors *errors)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	*p = NULL;
	*errors = (struct policy_errors){};
	if (!r)
		return fail(ENOMEM, "no memory for %s", name);
	r->source = source;
	err = read_all(r, name);
	if (err == -EINVAL)
		complaints_tell(&r->errors, r->p->files, errors);
	if (err == -ENOMEM || r->errors.no_memory)
		err = fail(ENOMEM, "no memory for %s", name);
	if (err)
		policy_free(r->p);
	else
		*p = r->p;
	complaints_free(&r->errors);
	free(r);
	return err;
}

/* ---- from the disk ---- */

/* Opening a FIFO must not wait for somebody to write; reading what a shell's <(...) gives may. */
static int open_file(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

static int read_fd(int fd, size_t most, char **text, size_t *size)
{
	size_t room = 0;
	char *more;
	ssize_t n;

	do {
		if (*size == room) {
			room = room ? 2 * room : 64 << 10;
			more = realloc(*text, room);
			if (!more)
				return -ENOMEM;
			*text = more;
		}
		n = read(fd, *text + *size, room - *size);
		if (n < 0 && errno != EINTR)
			return -errno;
		*size += n > 0 ? n : 0;
		if (*size > most)
			return -EFBIG;
	} while (n);
	return 0;
}

static int disk_text(void *arg, const char *name, size_t most, char **text, size_t *size)
{
	int fd = open_file(name), err;

	(void)arg;
	if (fd < 0)
		return -errno;
	*text = NULL;
	*size = 0;
	err = read_fd(fd, most, text, size);
	close(fd);
	if (err)
		free(*text);
	return err;
}

int policy_read(const char *path, struct policy **p, struct policy_errors *errors)
{
	static const struct policy_source disk = {.text = disk_text};

	return policy_read_from(path, &disk, p, errors);
}

/* ---- bundles ---- */

static json_t *absolute(const char *name)
{
	char *here, *whole = NULL;
	json_t *j;

	if (*name == '/')
		return json_string(name);
	here = getcwd(NULL, 0);
	if (here && asprintf(&whole, "%s/%s", here, name) < 0)
		whole = NULL;
	free(here);
	j = whole ? json_string(whole) : NULL;
	free(whole);
	return j;
}

json_t *policy_bundle(const struct policy *p)
{
	json_t *files = json_array();
	size_t i;

	for (i = 0; i < p->n_files; i++)
		json_array_append_new(files,
				      json_pack("{so ss%}", "name", absolute(p->files[i].name),
						"text", p->files[i].text, p->files[i].size));
	if (json_array_size(files) != p->n_files) {
		json_decref(files);
		return NULL;
	}
	return json_pack("{so}", "files", files);
}

static int bundle_text(void *arg, const char *name, size_t most, char **text, size_t *size)
{
	const json_t *files = arg, *f, *t;
	const char *this;
	size_t i;

	json_array_foreach (files, i, f) {
		this = json_string_value(json_object_get(f, "name"));
		t = json_object_get(f, "text");
		if (!this || !json_is_string(t) || strcmp(this, name) != 0)
			continue;
		*size = json_string_length(t);
		if (*size > most)
			return -EFBIG;
		*text = malloc(*size + 1);
		if (!*text)
			return -ENOMEM;
		memcpy(*text, json_string_value(t), *size);
		return 0;
	}
	return -ENOENT;
}

int policy_read_bundle(const json_t *bundle, struct policy **p, struct policy_errors *errors)
{
	json_t *files = json_object_get(bundle, "files");
	const char *name = json_string_value(json_object_get(json_array_get(files, 0), "name"));
	const struct policy_source source = {.text = bundle_text, .arg = files};

	if (name)
		return policy_read_from(name, &source, p, errors);
	*p = NULL;
	*errors = (struct policy_errors){.at = calloc(1, sizeof(char *))};
	if (errors->at)
		errors->at[0] =
			strdup("not a policy: {\"files\": [{\"name\":, \"text\":}, ...]} is "
			       "expected");
	errors->n = errors->at && errors->at[0];
	return -EINVAL;
}
