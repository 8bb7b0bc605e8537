// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nftables/libnftables.h>

#include "log.h"
#include "ruleset.h"

/* libnftables exits when it cannot open its socket. */
static bool has_nftables(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int refused(int err, struct nft_ctx *nft)
{
	const char *said = nft_ctx_get_error_buffer(nft);

	said = said && *said ? said : strerror(err);
	return fail(err, "cannot read nftables rules: %.*s", (int)strcspn(said, "\n"), said);
}

/* Runs a command; its output is nft_ctx_get_output_buffer()'s. */
static int run(struct nft_ctx **nft, unsigned int flags, const char *command)
{
	*nft = NULL;
	if (!has_nftables())
		return -EOPNOTSUPP;
	*nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!*nft)
		return -ENOMEM;
	nft_ctx_output_set_flags(*nft, NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_STATELESS | flags);
	nft_ctx_buffer_output(*nft);
	nft_ctx_buffer_error(*nft);
	errno = 0;
	if (!nft_run_cmd_from_buffer(*nft, command))
		return 0;
	return errno == EOPNOTSUPP ? -EOPNOTSUPP : refused(errno ? errno : EIO, *nft);
}

static int read_json(const char *command, json_t **ruleset)
{
	struct nft_ctx *nft;
	json_error_t where;
	int err = run(&nft, NFT_CTX_OUTPUT_JSON, command);

	*ruleset = NULL;
	if (!err)
		*ruleset = json_loads(nft_ctx_get_output_buffer(nft), 0, &where);
	if (!err && !*ruleset)
		err = fail(EPROTO, "cannot understand libnftables: %s", where.text);
	if (nft)
		nft_ctx_free(nft);
	return err;
}

int ruleset_read(json_t **ruleset)
{
	return read_json("list ruleset", ruleset);
}

int ruleset_read_table(const char *family, const char *table, json_t **ruleset)
{
	char command[512];
	int err = format(command, sizeof(command), "list table %s %s", family, table);

	*ruleset = NULL;
	return err ? err : read_json(command, ruleset);
}

/* The line that ends in "# handle N", without that and the space before it. */
static bool pick(const char *text, int handle, char *buf, size_t size)
{
	const char *line = text, *end, *mark;
	int at;

	for (; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		line += strspn(line, "\t ");
		mark = memmem(line, end - line, " # handle ", 10);
		if (!mark || sscanf(mark, " # handle %d", &at) != 1 || at != handle)
			continue;
		if ((size_t)(mark - line) >= size || !strncmp(line, "chain ", 6))
			continue;
		snprintf(buf, size, "%.*s", (int)(mark - line), line);
		return true;
	}
	return false;
}

bool ruleset_rule(const char *family, const char *table, const char *chain, int handle, char *buf,
		  size_t size)
{
	char command[512];
	struct nft_ctx *nft = NULL;
	bool found = false;

	if (snprintf(command, sizeof(command), "list chain %s %s %s", family, table, chain) <
		    (int)sizeof(command) &&
	    !run(&nft, 0, command))
		found = pick(nft_ctx_get_output_buffer(nft), handle, buf, size);
	else
		fail_clear();
	if (nft)
		nft_ctx_free(nft);
	return found;
}
