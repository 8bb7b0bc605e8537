/* SPDX-License-Identifier: GPL-2.0-only */
/* How a policy is read: from its files' texts, wherever they come from, to checked values. */
#ifndef SYNSTILE_USER_POLICY_READ_H
#define SYNSTILE_USER_POLICY_READ_H

#include "policy.h"
#include "policy_errors.h"
#include "policy_yaml.h"

/* Where texts come from. */
struct policy_source {
	/* 0 with a text to be freed; -EFBIG: longer than `most`; -errno. */
	int (*text)(void *arg, const char *name, size_t most, char **text, size_t *size);
	void *arg;
};

/* policy_read() from there. */
int policy_read_from(const char *name, const struct policy_source *source, struct policy **p,
		     struct policy_errors *errors);

/* What is at work while one is read. */
struct reader {
	struct policy *p;
	const struct policy_source *source;
	struct complaints errors;
	size_t bytes;    /* of all files so far */
	size_t n_listen; /* of all services so far */
	char path[256];  /* of what is read now: services[1].listen[0] */
	size_t path_length;
};

#define VALUE_WRONG UINT64_MAX /* it has been complained of; no more about it */

bool origin_same(const struct origin *a, const struct origin *b);
struct origin node_origin(const struct node *n);
/* "path: ..." at the node's position. */
void complain_at(struct reader *r, const struct node *n, const char *fmt, ...) PRINTF(3, 4);

/* Reads a file as the next one of the policy. 0; -errno, whose reason is not yet told. */
int read_file(struct reader *r, const char *name, struct policy_file **file);

/* Each of these complains of what is wrong; -errno only if there is no sense in going on. */

/* The whole document. */
int read_policy(struct reader *r, const struct node *root);
/* An element of sources.allow or sources.deny. */
int read_prefix(struct reader *r, const struct node *n, struct policy_prefixes *to);
/* What a list file holds: files[file]. */
int read_list(struct reader *r, u16 file, struct policy_prefixes *to);
/* What can be seen only when all is read. */
int policy_check(struct reader *r);

/* Values that nobody chose and that follow others. */
void policy_derive(struct policy *p);

/* Sorts, and drops what is there twice. */
void prefixes_sort(struct policy_prefixes *p);

/* 0 or -ENOMEM. */
int policy_index_make(struct policy *p);
void policy_index_free(struct policy_index *x);
/* The earlier entry because of which this one can never match, with its service, or NULL. */
const struct policy_listen *policy_covered(const struct policy *p, size_t service, size_t listen,
					   size_t *by);

#endif
