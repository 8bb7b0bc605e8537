// SPDX-License-Identifier: GPL-2.0-only
/* What came each second, of maps that are made up here: rates, totals, and whose they are. */
#include <errno.h>

#include "unit.h"
#include "clock.h"
#include "datapath.h"
#include "moment.h"
#include "rates.h"

/* ---- the maps and the clock ---- */

static struct service services[SYNSTILE_MAX_SERVICES];
static struct pressure pressure[SYNSTILE_MAX_SERVICES];
static struct census census[SYNSTILE_MAX_SERVICES];
static u64 loads[SYNSTILE_MAX_SERVICES][LOAD_KINDS];
static u64 counters[2][SYNSTILE_COUNTERS]; /* of two interfaces */
static u32 kernel[SYNSTILE_MAX_SERVICES];
static u64 now;
static int trouble;

u64 monotonic_now(void)
{
	return now;
}

int maps_services(const struct maps *m, struct service all[SYNSTILE_MAX_SERVICES])
{
	(void)m;
	memcpy(all, services, sizeof(services));
	return trouble;
}

int maps_loads(const struct maps *m, u32 n, u64 (*sum)[LOAD_KINDS])
{
	(void)m;
	memcpy(sum, loads, n * sizeof(*loads));
	return 0;
}

int maps_first_pressures(const struct maps *m, u32 n, struct pressure *first)
{
	(void)m;
	memcpy(first, pressure, n * sizeof(*pressure));
	return 0;
}

int maps_first_censuses(const struct maps *m, u32 n, struct census *first)
{
	(void)m;
	memcpy(first, census, n * sizeof(*census));
	return 0;
}

u32 half_open_kernel(const struct half_open *h, u16 service)
{
	(void)h;
	return kernel[service];
}

/* Not descriptors that could be closed: an interface is told by its index. */
int datapath_counters(const struct instance *in, const struct attachment *at)
{
	(void)in;
	return 10000 + at->ifindex;
}

int maps_add_counters(int fd, u64 sum[SYNSTILE_COUNTERS])
{
	for (int i = 0; i < SYNSTILE_COUNTERS; i++)
		sum[i] += counters[fd - 10000][i];
	return 0;
}

/* ---- */

static const struct instance in;
static const struct maps maps;
static struct state st;
static struct rates *r;
static struct rate rate;

static void name(u16 i, const char *text)
{
	services[i].used = 1;
	strcpy(services[i].name, text);
}

static int begin(void **state)
{
	(void)state;
	memset(services, 0, sizeof(services));
	memset(pressure, 0, sizeof(pressure));
	memset(census, 0, sizeof(census));
	memset(loads, 0, sizeof(loads));
	memset(counters, 0, sizeof(counters));
	memset(kernel, 0, sizeof(kernel));
	st = (struct state){.n_ifaces = 2, .ifaces = {{.ifindex = 0}, {.ifindex = 1}}};
	now = 100 * NS_PER_SEC;
	trouble = 0;
	r = rates_new(&maps, &in, &st, NULL);
	return !r;
}

static int end(void **state)
{
	(void)state;
	rates_free(r);
	return 0;
}

static void look_after(u64 ms)
{
	now += ms * NS_PER_MS;
	assert_int_equal(rates_look(r), 0);
}

static void expect_syns(u16 service, u64 per_s, u64 total)
{
	assert_true(rates_of(r, service, &rate));
	assert_int_equal(rate.per_s[LOAD_SYNS], per_s);
	assert_int_equal(rate.total[LOAD_SYNS], total);
}

static void test_rate(void **state)
{
	(void)state;
	name(1, "web");
	name(3, "ssh");
	loads[1][LOAD_SYNS] = 1000; /* of before the agent */
	loads[2][LOAD_SYNS] = 555;  /* nobody's */
	assert_false(rates_of(r, 1, &rate));
	look_after(0);
	assert_int_equal(rates_end(r), 4);
	assert_false(rates_of(r, 1, &rate)); /* looked at once */
	assert_false(rates_of(r, RATES_ALL, &rate));
	loads[1][LOAD_SYNS] += 300;
	loads[3][LOAD_SYNS] += 30;
	loads[3][LOAD_COOKIES] += 7;
	look_after(1000);
	expect_syns(1, 300, 1300);
	expect_syns(3, 30, 30);
	assert_int_equal(rate.per_s[LOAD_COOKIES], 7);
	expect_syns(RATES_ALL, 330, 1330);
	assert_false(rates_of(r, 2, &rate));
	assert_false(rates_of(r, SYNSTILE_MAX_SERVICES, &rate));
	assert_null(rates_service(r, 2));
	assert_null(rates_service(r, 0));
	assert_string_equal(rates_service(r, 3)->name, "ssh");
	/* a look that is late, and one that is early */
	loads[1][LOAD_SYNS] += 300;
	look_after(3000);
	expect_syns(1, 100, 1600);
	loads[1][LOAD_SYNS] += 300;
	look_after(500);
	expect_syns(1, 600, 1900);
	look_after(1000);
	expect_syns(1, 0, 1900);
	expect_syns(RATES_ALL, 0, 1930);
}

static void test_now(void **state)
{
	(void)state;
	name(1, "web");
	name(2, "ssh");
	census[0].answered = 50; /* the host's own */
	census[1] = (struct census){.unanswered = 3, .answered = 4, .established = 5, .other = 6};
	census[2].answered = 1;
	kernel[1] = 9;
	kernel[2] = 1;
	pressure[2].state = PRESSURE_ATTACK;
	look_after(0);
	look_after(1000);
	assert_true(rates_of(r, 1, &rate));
	assert_int_equal(rate.half_open, 7);
	assert_int_equal(rate.kernel_half_open, 9);
	assert_int_equal(rate.attacked, 0);
	assert_true(rates_of(r, RATES_ALL, &rate));
	assert_int_equal(rate.half_open, 8);
	assert_int_equal(rate.kernel_half_open, 10);
	assert_int_equal(rate.attacked, 1);
	kernel[2] = UINT32_MAX; /* not known: nor is the sum */
	assert_true(rates_of(r, RATES_ALL, &rate));
	assert_int_equal(rate.kernel_half_open, UINT32_MAX);
	assert_true(rates_of(r, 1, &rate));
	assert_int_equal(rate.kernel_half_open, 9);
	assert_int_equal(rates_pressure(r, 2)->state, PRESSURE_ATTACK);
}

/* One that appears has counted from 0; another name alone is the same service. */
static void test_new_and_renamed(void **state)
{
	(void)state;
	name(1, "80");
	look_after(0);
	loads[1][LOAD_SYNS] = 50;
	name(2, "new");
	loads[2][LOAD_SYNS] = 20;
	look_after(1000);
	expect_syns(2, 20, 20);
	expect_syns(RATES_ALL, 70, 70);
	name(1, "web");
	loads[1][LOAD_SYNS] = 60;
	look_after(1000);
	expect_syns(1, 10, 60);
	assert_int_equal(rates_life(r, 1), 0);
}

/* An index that is another's now: its counts began anew, and nothing is less than nothing. */
static void test_reused(void **state)
{
	(void)state;
	name(1, "old");
	loads[1][LOAD_SYNS] = 5000;
	look_after(0);
	look_after(1000);
	name(1, "new");
	loads[1][LOAD_SYNS] = 40;
	look_after(1000);
	assert_int_equal(rates_life(r, 1), 1);
	expect_syns(1, 40, 40);
	expect_syns(RATES_ALL, 40, 5040);
	/* gone for a while, and then another one that has more */
	services[1].used = 0;
	look_after(1000);
	assert_false(rates_of(r, 1, &rate));
	name(1, "third");
	loads[1][LOAD_SYNS] = 90;
	look_after(1000);
	assert_int_equal(rates_life(r, 1), 2);
}

/* What came while it was not looked at is in the total, but no second's rate. */
static void test_comes_back(void **state)
{
	(void)state;
	name(1, "web");
	name(2, "ssh");
	look_after(0);
	look_after(1000);
	services[2].used = 0;
	look_after(1000);
	look_after(5000);
	services[2].used = 1;
	loads[2][LOAD_SYNS] = 600;
	look_after(1000);
	assert_false(rates_of(r, 2, &rate));
	expect_syns(RATES_ALL, 0, 600);
	loads[2][LOAD_SYNS] = 610;
	look_after(1000);
	expect_syns(2, 10, 610);
	assert_int_equal(rates_life(r, 2), 0);
}

static void test_verdicts(void **state)
{
	const struct verdict_rate *v;

	(void)state;
	counters[0][V_SYN_COOKIE] = 100;
	look_after(0);
	v = rates_verdicts(r);
	assert_int_equal(v[V_SYN_COOKIE].total, 100);
	assert_int_equal(v[V_SYN_COOKIE].per_s, 0);
	counters[0][V_SYN_COOKIE] += 10;
	counters[1][V_SYN_COOKIE] += 5;
	counters[1][V_SYN_DENIED] += 3;
	counters[1][V_TCP_FLAGS] += 2;
	counters[0][V_COUNT + V_SYN_DENIED] += 8; /* only observed */
	look_after(1000);
	assert_int_equal(v[V_SYN_COOKIE].total, 115);
	assert_int_equal(v[V_SYN_COOKIE].per_s, 15);
	assert_int_equal(v[V_COUNT + V_SYN_DENIED].per_s, 8);
	assert_int_equal(rates_dropped(r), 5);
	st.n_ifaces = 1; /* the other one is detached */
	look_after(1000);
	assert_int_equal(v[V_SYN_COOKIE].total, 110);
	assert_int_equal(v[V_SYN_COOKIE].per_s, 0);
	assert_int_equal(rates_dropped(r), 0);
}

/* A look that fails changes nothing; the next one has the time of both. */
static void test_failed(void **state)
{
	(void)state;
	name(1, "web");
	look_after(0);
	loads[1][LOAD_SYNS] = 100;
	trouble = -EIO;
	now += NS_PER_SEC;
	assert_int_equal(rates_look(r), -EIO);
	assert_int_equal(rates_when(r), 100 * NS_PER_SEC);
	trouble = 0;
	loads[1][LOAD_SYNS] = 200;
	look_after(1000);
	expect_syns(1, 100, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rate, begin, end),
		cmocka_unit_test_setup_teardown(test_now, begin, end),
		cmocka_unit_test_setup_teardown(test_new_and_renamed, begin, end),
		cmocka_unit_test_setup_teardown(test_reused, begin, end),
		cmocka_unit_test_setup_teardown(test_comes_back, begin, end),
		cmocka_unit_test_setup_teardown(test_verdicts, begin, end),
		cmocka_unit_test_setup_teardown(test_failed, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
