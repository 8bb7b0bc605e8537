// SPDX-License-Identifier: GPL-2.0-only
/* The log of a group of subscribers: what each is sent, what it lost; and the ids of events. */
#include <event2/buffer.h>

#include "unit.h"
#include "event_id.h"
#include "event_log.h"

#define LINE 1000

/* The i-th line: its number, in a thousand bytes. */
static void tell(struct event_log *log, u32 i)
{
	char *to = event_log_add(log, LINE);

	assert_non_null(to);
	memset(to, 0, LINE);
	memcpy(to, &i, sizeof(i));
	event_log_told(log, EVENT_TCP_STATE);
}

/* Takes all that follows on the place, and checks that it is the lines from `first` to `last`. */
static void take(struct event_log *log, struct log_place *place, size_t portion, u32 first,
		 u32 last)
{
	struct evbuffer *buf = evbuffer_new();
	char line[LINE];
	u32 n, i = first;

	do {
		event_log_send(log, place, portion, buf);
		assert_int_equal(evbuffer_get_length(buf) % LINE, 0);
		for (n = 0; evbuffer_remove(buf, line, LINE) == LINE; n++, i++)
			assert_memory_equal(line, &i, sizeof(i));
	} while (n);
	assert_int_equal(i, last + 1);
	evbuffer_free(buf);
}

static void test_each_has_all(void **state)
{
	size_t total = 0;
	struct event_log *log = event_log_new(&total);
	struct log_place quick = event_log_end(log), slow = quick;
	u64 lost[LOSSES];
	u32 i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		tell(log, i);
		if (i % 7 == 0)
			take(log, &quick, 1, i < 7 ? 0 : i - 6, i);
	}
	take(log, &slow, 100000, 0, 999);
	assert_false(event_log_skip(log, &slow, 0, lost));
	/* from here on */
	quick = event_log_end(log);
	tell(log, 1000);
	take(log, &quick, 1, 1000, 1000);
	event_log_drop_before(log, quick.block);
	assert_in_range(event_log_size(log), 1, 65536);
	assert_false(event_log_skip(log, &quick, 0, lost));
	event_log_free(log);
	assert_int_equal(total, 0);
}

static void test_losses(void **state)
{
	const size_t index = EVENT_TCP_STATE * LOST_STAGES + LOST_SUBSCRIBER;
	u64 lost[LOSSES], others[LOSSES] = {[EVENT_VERDICT * LOST_STAGES + LOST_LIMITED] = 5};
	size_t total = 0;
	struct event_log *log = event_log_new(&total);
	struct log_place place = event_log_end(log);
	struct evbuffer *buf = evbuffer_new();
	u32 i, had;

	(void)state;
	for (i = 0; i < 10; i++)
		tell(log, i);
	event_log_send(log, &place, 100000, buf); /* and does not take it: it keeps it */
	had = evbuffer_get_length(buf) / LINE;
	assert_int_equal(had, 10);
	event_log_told_lost(log, others);
	for (; i < 2000; i++)
		tell(log, i);
	while (event_log_size(log) > 500000)
		assert_true(event_log_drop(log));
	assert_true(event_log_skip(log, &place, 200000, lost));
	assert_int_equal(lost[EVENT_VERDICT * LOST_STAGES + LOST_LIMITED], 5);
	assert_in_range(lost[index], 1750, 1990);
	take(log, &place, 100000, had + lost[index], 1999);
	/* all is dropped, and it had it all */
	while (event_log_drop(log))
		;
	if (event_log_skip(log, &place, 200000, lost))
		assert_int_equal(lost[index], 0);
	tell(log, 2000);
	take(log, &place, 100000, 2000, 2000);
	event_log_free(log);
	assert_true(total > 0); /* what the connection holds */
	evbuffer_free(buf);
	assert_int_equal(total, 0);
}

/* Statistics of very many services. */
static void test_long_lines(void **state)
{
	size_t total = 0;
	struct event_log *log = event_log_new(&total);
	struct log_place place = event_log_end(log);
	struct evbuffer *buf = evbuffer_new();

	(void)state;
	tell(log, 0);
	memset(event_log_add(log, 1000000), 'x', 1000000);
	tell(log, 2);
	event_log_send(log, &place, 2000, buf);
	assert_int_equal(evbuffer_get_length(buf), LINE);
	event_log_send(log, &place, 2000000, buf);
	assert_int_equal(evbuffer_get_length(buf), 1000000 + 2 * LINE);
	evbuffer_free(buf);
	event_log_free(log);
	assert_int_equal(total, 0);
}

static void test_ids(void **state)
{
	static const char *const wrong[] = {"",
					    "-",
					    "-1",
					    "0123456789ab",
					    "0123456789ab-",
					    "0123456789ab-x",
					    "0123456789ab-1 ",
					    "0123456789AB-1",
					    "0123456789abc-1",
					    "0123456789a-1",
					    "0123456789ab-123456789012345678901"};
	char epoch[EPOCH_SIZE], other[EPOCH_SIZE], text[EVENT_ID_SIZE];
	struct event_id id;
	size_t i;

	(void)state;
	epoch_new(epoch);
	epoch_new(other);
	assert_string_not_equal(epoch, other);
	assert_true(event_id_parse(event_id_text(epoch, UINT64_MAX, text), &id));
	assert_string_equal(id.epoch, epoch);
	assert_true(id.n == UINT64_MAX);
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (event_id_parse(wrong[i], &id))
			fail_msg("\"%s\" is taken for an id", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_all),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests_name("the log of events", tests, NULL, NULL);
}
