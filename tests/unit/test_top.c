// SPDX-License-Identifier: GPL-2.0-only
/*
 * `synstile top` without a terminal: frames as the agent sends them (top/frames.jsonl) and keys go
 * in, and what is on the canvas is looked at, in sizes from far too small to very large.
 */
#include "unit.h"

#include "top.h"
#include "top_chart.h"
#include "top_text.h"

enum sample {
	CALM,
	ATTACK,
	COOKIES_ONLY, /* an attack, and nothing is half-open */
	BARE,         /* nothing but what makes it a frame */
	NULLS,
	WRONG, /* types and names that nobody sends */
	SAMPLES
};

static json_t *samples[SAMPLES], *history;

struct world {
	struct top top;
	struct canvas canvas;
};

/* ---- the means ---- */

static struct top_frame *sample_frame(enum sample n)
{
	struct top_frame *f = frame_read(samples[n]);

	assert_non_null(f);
	return f;
}

static void begin(struct world *w, enum sample n, int width, int height, enum glyphs glyphs)
{
	top_init(&w->top, glyphs);
	top_take_frame(&w->top, sample_frame(n));
	assert_true(history_read(&w->top.history, history));
	assert_true(canvas_new(&w->canvas, width, height, glyphs));
	top_draw(&w->top, &w->canvas);
}

static void end(struct world *w)
{
	top_free(&w->top);
	canvas_free(&w->canvas);
}

static void press(struct world *w, int key)
{
	top_key(&w->top, key);
	top_draw(&w->top, &w->canvas);
}

static void type(struct world *w, const char *text)
{
	while (*text)
		press(w, *text++);
}

/* A line of the canvas, as UTF-8. Not for keeping. */
static const char *line(const struct world *w, int y)
{
	static char text[4 * 512];
	size_t n = 0;
	int x;

	for (x = 0; x < w->canvas.w; x++)
		n += utf8_put(text + n, w->canvas.at[y * w->canvas.w + x].ch);
	return text;
}

/* The line that has the text; -1: none. */
static int find(const struct world *w, const char *text)
{
	int y;

	for (y = 0; y < w->canvas.h; y++)
		if (strstr(line(w, y), text))
			return y;
	return -1;
}

static void assert_shows(const struct world *w, const char *text)
{
	int y;

	if (find(w, text) >= 0)
		return;
	for (y = 0; y < w->canvas.h; y++)
		print_error("%s\n", line(w, y));
	fail_msg("not on the screen: %s", text);
}

static bool in_style(const struct world *w, int y, enum style style)
{
	int x;

	for (x = 0; x < w->canvas.w; x++)
		if (w->canvas.at[y * w->canvas.w + x].style == style)
			return true;
	return false;
}

/* ---- numbers, times, prefixes ---- */

static void test_numbers(void **state)
{
	static const struct {
		s64 n;
		const char *text, *axis;
	} cases[] = {
		{UNKNOWN_NUMBER, "-", NULL}, {0, "0", "0"},
		{9999, "9999", "9.9k"},      {10000, "10.0k", "10k"},
		{12345, "12.3k", NULL},      {99999, "99.9k", NULL},
		{100000, "100k", "100k"},    {999999, "999k", NULL},
		{1000000, "1.0M", "1M"},     {1234567, "1.2M", NULL},
		{12345678, "12.3M", NULL},   {999999999, "999M", NULL},
		{2000000000, "2.0G", "2G"},  {INT64_MAX, "9.2E", NULL},
	};
	char buf[NUMBER_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(number_text(cases[i].n, buf), cases[i].text);
		assert_true(strlen(buf) <= 5);
		if (cases[i].axis)
			assert_string_equal(axis_text(cases[i].n, buf), cases[i].axis);
	}
	assert_string_equal(age_short(-1, buf), "-");
	assert_string_equal(age_short(449, buf), "0.4s");
	assert_string_equal(age_short(63000, buf), "63s");
	assert_string_equal(age_short(245000, buf), "4m05s");
	assert_string_equal(age_short(11528749, buf), "3h12m");
	assert_string_equal(age_short(442800000, buf), "5d03h");
	assert_true(timestamp_ms("2026-11-22T20:35:18.749998+0000") == 1795379718749);
	assert_true(timestamp_ms("yesterday") == -1 && timestamp_ms(NULL) == -1);
	assert_int_equal(chart_scale(0), 5);
	assert_int_equal(chart_scale(6), 10);
	assert_int_equal(chart_scale(11), 15);
	assert_int_equal(chart_scale(21), 30);
	assert_int_equal(chart_scale(200), 200);
	assert_int_equal(chart_scale(501), 1000);
	assert_int_equal(chart_scale(1200001), 1500000);
}

static void test_prefixes(void **state)
{
	(void)state;
	assert_true(in_prefix("198.19.7.9", "198.18.0.0/15"));
	assert_false(in_prefix("198.20.0.1", "198.18.0.0/15"));
	assert_true(in_prefix("1.2.3.4", "0.0.0.0/0"));
	assert_true(in_prefix("2001:db8:f::1", "2001:db8:e::/47"));
	assert_false(in_prefix("2001:db8:f::1", "2001:db8:e::/48"));
	assert_false(in_prefix("198.19.7.9", "2001:db8::/32"));
	assert_false(in_prefix("198.19.7.9", "198.18.0.0/"));
	assert_false(in_prefix("198.19.7.9", "198.18.0.0/33"));
	assert_false(in_prefix("198.19.7.9", "x/8"));
	assert_false(in_prefix("198.19.7.9", "198.18"));
}

/* ---- the whole screen ---- */

/* Whatever comes, in whatever size: only characters that are one column wide. */
static void test_anything(void **state)
{
	static const int sizes[][2] = {{1, 1},   {40, 10},  {60, 16},  {75, 20},
				       {80, 24}, {100, 30}, {200, 60}, {333, 120}};
	static const int keys[] = {
		'z', '?', '?',        TOP_KEY_END, TOP_KEY_ENTER, TOP_KEY_PAGE_UP, TOP_KEY_ESCAPE,
		's', 'r', TOP_KEY_TAB};
	size_t s, n, k, i, round;
	struct world w;

	(void)state;
	for (s = 0; s < ARRAY_SIZE(sizes); s++)
		for (n = 0; n < SAMPLES * 3; n++) {
			begin(&w, n % SAMPLES, sizes[s][0], sizes[s][1], n / SAMPLES);
			for (round = 0; round < PANE_COUNT; round++)
				for (k = 0; k < ARRAY_SIZE(keys); k++)
					press(&w, keys[k]);
			snprintf(w.top.trouble, sizeof(w.top.trouble), "it does not run");
			top_draw(&w.top, &w.canvas);
			for (i = 0; i < (size_t)w.canvas.w * w.canvas.h; i++) {
				u32 ch = w.canvas.at[i].ch;

				assert_true(ch >= ' ' && (ch < 0x7f || ch >= 0xa0) && ch < 0x2900);
				if (w.canvas.glyphs == GLYPHS_ASCII)
					assert_true(ch < 0x7f);
				assert_true(w.canvas.at[i].style < STYLE_COUNT);
			}
			end(&w);
		}
}

static void test_too_small(void **state)
{
	struct world w;

	(void)state;
	begin(&w, ATTACK, 40, 10, GLYPHS_BRAILLE);
	assert_string_equal(line(&w, 0), "too small: 40x10                        ");
	assert_shows(&w, "60x16");
	end(&w);
}

static void check_attack(int width, int height)
{
	static const char *const shown[] = {
		"ATTACK  for 13s on web",
		"too many half-open",
		"SPOOFED sources",
		"events were lost",
		"web",
		"250/256",
		"1.2M",
		"3.0s",
		"198.19.7.0/24",
		"41.5%",
		"2 History",
		"4 Top sources",
		"5 Verdicts",
		"syn_cookie",
		"q quit",
	};
	struct world w;
	size_t i;

	begin(&w, ATTACK, width, height, GLYPHS_BRAILLE);
	for (i = 0; i < ARRAY_SIZE(shown); i++)
		assert_shows(&w, shown[i]);
	assert_true(find(&w, "1 Services") < find(&w, "2 History"));
	assert_true(find(&w, "2 History") < find(&w, "3 Half-open"));
	assert_true(in_style(&w, 1, STYLE_ATTACK_BLOCK));
	assert_int_equal(find(&w, "q quit"), height - 1);
	end(&w);
}

static void test_attack(void **state)
{
	(void)state;
	check_attack(80, 24);
	check_attack(100, 30);
	check_attack(200, 60);
}

/* Little room: half-open connections first, the rest by its key. */
static void test_low(void **state)
{
	struct world w;

	(void)state;
	begin(&w, ATTACK, 60, 16, GLYPHS_BRAILLE);
	assert_shows(&w, "ATTACK");
	assert_shows(&w, w.top.frame->half_open[0].source);
	assert_int_equal(find(&w, "2 History"), -1);
	press(&w, '2');
	assert_shows(&w, "2 History");
	press(&w, '4');
	assert_shows(&w, "198.19.7.0/24");
	end(&w);
}

static void test_calm(void **state)
{
	struct world w;
	char heads[2][1024];

	(void)state;
	begin(&w, ATTACK, 80, 24, GLYPHS_ASCII);
	snprintf(heads[0], sizeof(heads[0]), "%s", line(&w, find(&w, "SERVICE")));
	end(&w);
	begin(&w, CALM, 80, 24, GLYPHS_ASCII);
	snprintf(heads[1], sizeof(heads[1]), "%s", line(&w, find(&w, "SERVICE")));
	assert_string_equal(heads[0], heads[1]); /* columns do not jump */
	assert_shows(&w, " CALM  for 3h12m  no service is under attack");
	assert_shows(&w, "policy /etc/synstile/policy.yaml, generation 3");
	assert_true(in_style(&w, 1, STYLE_CALM_BLOCK));
	assert_int_equal(find(&w, "SPOOFED"), -1);
	assert_int_equal(find(&w, "events were lost"), -1);
	assert_shows(&w, "smtp      OBSERVE    28        0       0      0  #----     2/256");
	end(&w);
}

/* Against the policy: that must not be overlooked. */
static void test_observed(void **state)
{
	static const char why[] = "a rule leads the port elsewhere";
	struct world w;
	struct frame_service *s;

	(void)state;
	begin(&w, CALM, 80, 24, GLYPHS_BRAILLE);
	s = w.top.frame->services;
	strcpy(s[1].observed_because, why);
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, "service ssh is only observed: a rule leads the port elsewhere");
	assert_true(in_style(&w, 2, STYLE_WARN));
	strcpy(s[3].observed_because, why);
	w.top.frame->services_total = 300;
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, "2 services are only observed");
	assert_shows(&w, "300, busiest 4 listed");
	end(&w);
}

static void test_cookies_only(void **state)
{
	struct world w;

	(void)state;
	begin(&w, COOKIES_ONLY, 80, 24, GLYPHS_BRAILLE);
	assert_shows(&w, "1.2M SYNs a second are answered with cookies.");
	assert_shows(&w, "They take no memory");
	end(&w);
	begin(&w, CALM, 80, 24, GLYPHS_BRAILLE);
	assert_int_equal(find(&w, "They take no memory"), -1);
	end(&w);
}

/* The agent is away: nobody knows whether the host is protected, and data are old. */
static void test_trouble(void **state)
{
	struct world w;
	int x;

	(void)state;
	begin(&w, ATTACK, 100, 30, GLYPHS_BRAILLE);
	snprintf(w.top.trouble, sizeof(w.top.trouble), "it does not run");
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, "no connection to the agent: it does not run, trying again");
	assert_shows(&w, "UNKNOWN");
	assert_int_equal(find(&w, "ATTACK  for"), -1);
	for (x = 0; x < 100; x++)
		assert_int_equal(w.canvas.at[6 * 100 + x].style, STYLE_STALE);
	top_take_frame(&w.top, sample_frame(CALM));
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, " CALM ");
	end(&w);
}

/* ---- keys ---- */

static void test_panes(void **state)
{
	struct world w;
	int i;

	(void)state;
	begin(&w, ATTACK, 80, 24, GLYPHS_BRAILLE);
	for (i = 0; i < PANE_COUNT; i++) {
		press(&w, '1' + i);
		assert_int_equal(w.top.focus, i);
	}
	press(&w, TOP_KEY_TAB);
	assert_int_equal(w.top.focus, PANE_SERVICES);
	press(&w, TOP_KEY_BACK_TAB);
	assert_int_equal(w.top.focus, PANE_VERDICTS);
	press(&w, 'z');
	assert_int_equal(find(&w, "1 Services"), -1);
	assert_shows(&w, "a SYN answered with a cookie SYN-ACK");
	press(&w, TOP_KEY_ESCAPE);
	assert_shows(&w, "1 Services");
	press(&w, '?');
	assert_shows(&w, "Help");
	press(&w, 'q');
	assert_int_equal(find(&w, "Help"), -1);
	assert_false(w.top.quit);
	press(&w, 'q');
	assert_true(w.top.quit);
	end(&w);
}

static void test_sort(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CALM, 100, 30, GLYPHS_ASCII);
	assert_true(find(&w, " web ") < find(&w, " smtp ")); /* the busiest first */
	press(&w, 's');
	assert_shows(&w, "SERVICE^");
	assert_true(find(&w, " postgres ") < find(&w, " smtp "));
	assert_true(find(&w, " smtp ") < find(&w, " ssh "));
	press(&w, 'r');
	assert_shows(&w, "SERVICEv");
	assert_true(find(&w, " postgres ") > find(&w, " smtp "));
	press(&w, 'S');
	assert_int_equal(w.top.pane[PANE_SERVICES].sort, AS_IT_COMES);
	assert_false(w.top.pane[PANE_SERVICES].reverse);
	press(&w, '3');
	press(&w, 'S'); /* of the columns that are in sight the last */
	assert_int_not_equal(w.top.pane[PANE_HALF_OPEN].sort, AS_IT_COMES);
	end(&w);
}

static void test_filter(void **state)
{
	struct world w;
	size_t n;

	(void)state;
	begin(&w, ATTACK, 100, 30, GLYPHS_ASCII);
	press(&w, '/');
	type(&w, "2001:db8:f::/48");
	assert_shows(&w, "filter: 2001:db8:f::/48_");
	press(&w, TOP_KEY_ENTER);
	free(top_rows(&w.top, PANE_HALF_OPEN, &n));
	assert_int_equal(n, 14);
	assert_shows(&w, "14 match");
	free(top_rows(&w.top, PANE_SERVICES, &n));
	assert_int_equal(n, 0);
	assert_shows(&w, "nothing here matches the filter");
	press(&w, TOP_KEY_ESCAPE);
	free(top_rows(&w.top, PANE_HALF_OPEN, &n));
	assert_int_equal(n, 100);
	press(&w, '/');
	type(&w, "qs");
	press(&w, TOP_KEY_BACKSPACE);
	assert_string_equal(w.top.filter, "q");
	assert_false(w.top.quit);
	press(&w, TOP_KEY_ESCAPE);
	assert_string_equal(w.top.filter, "");
	end(&w);
}

/* Frames go on, the screen does not. */
static void test_pause(void **state)
{
	struct world w;
	size_t n;

	(void)state;
	begin(&w, CALM, 100, 30, GLYPHS_BRAILLE);
	n = w.top.history.n;
	press(&w, 'p');
	assert_shows(&w, "PAUSED");
	w.top.frame->t = timestamp_ms("2026-11-22T20:35:18.749998+0000");
	top_take_frame(&w.top, sample_frame(COOKIES_ONLY));
	top_take_frame(&w.top, sample_frame(ATTACK));
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, " CALM ");
	assert_true(w.top.history.n >= n);
	press(&w, ' ');
	assert_int_equal(find(&w, "PAUSED"), -1);
	assert_shows(&w, " ATTACK ");
	end(&w);
}

/* The selection stays with its connection, wherever that goes. */
static void test_selection(void **state)
{
	struct world w;
	struct top_frame *f;
	u64 chosen;

	(void)state;
	begin(&w, ATTACK, 80, 24, GLYPHS_ASCII);
	press(&w, '3');
	press(&w, TOP_KEY_DOWN);
	press(&w, 'j');
	press(&w, TOP_KEY_PAGE_DOWN);
	chosen = w.top.pane[PANE_HALF_OPEN].key;
	f = sample_frame(ATTACK);
	f->n_half_open -= 2; /* the oldest have expired */
	memmove(f->half_open, f->half_open + 2, f->n_half_open * sizeof(*f->half_open));
	top_take_frame(&w.top, f);
	top_draw(&w.top, &w.canvas);
	assert_true(w.top.pane[PANE_HALF_OPEN].key == chosen);
	press(&w, TOP_KEY_END);
	assert_int_equal(w.top.pane[PANE_HALF_OPEN].selected, 97);
	assert_shows(&w, w.top.frame->half_open[97].source);
	press(&w, TOP_KEY_HOME);
	assert_int_equal(w.top.pane[PANE_HALF_OPEN].selected, 0);
	press(&w, 'k');
	assert_int_equal(w.top.pane[PANE_HALF_OPEN].selected, 0);
	press(&w, TOP_KEY_ENTER);
	assert_true(w.top.record.open && w.top.record.flow_id == w.top.frame->half_open[0].flow_id);
	press(&w, TOP_KEY_ESCAPE);
	assert_false(w.top.record.open);
	press(&w, '1');
	press(&w, TOP_KEY_ENTER);
	assert_string_equal(w.top.scope, "web");
	assert_int_equal(w.top.history.n, 0); /* to be asked for */
	assert_shows(&w, "service web");
	press(&w, TOP_KEY_ESCAPE);
	assert_string_equal(w.top.scope, "");
	end(&w);
}

/* ---- a connection ---- */

static const char conn_text[] =
	"{\"flow_id\":1000,\"src_ip\":\"198.19.7.7\",\"src_port\":50096,\"dest_ip\":\"198.18.0.1\","
	"\"dest_port\":80,\"proto\":\"TCP\",\"tcp\":{\"client_state\":\"SYN-SENT\",\"server_"
	"state\":"
	"\"SYN-RECEIVED\",\"client\":{\"entered\":\"2026-11-22T20:35:18.749998+0000\","
	"\"in_state_ms\":2400,\"isn\":12345,\"mss\":1460,\"wscale\":7,\"bytes\":0,\"segments\":1,"
	"\"retransmissions\":0,\"keepalives\":0,\"keepalives_unanswered\":0,\"syns\":2},"
	"\"server\":{\"isn\":99,\"mss\":1400,\"wscale\":null,\"syn_acks\":3},"
	"\"options\":{\"agreed\":true,\"sack\":true,\"timestamps\":false,\"ecn\":null}},"
	"\"synstile\":{\"service\":\"web\",\"host_is\":\"server\",\"admission\":null,"
	"\"phase\":\"half_open\",\"age_ms\":2400,\"handshake_rtt_us\":null}}";

static void test_record(void **state)
{
	json_t *conn = json_loads(conn_text, 0, NULL), *bare = json_object();
	char **lines = calloc(2, sizeof(*lines));
	struct world w;

	(void)state;
	begin(&w, ATTACK, 80, 24, GLYPHS_BRAILLE);
	press(&w, '3');
	press(&w, TOP_KEY_ENTER);
	assert_shows(&w, "asking the agent");
	lines[0] = strdup("one"), lines[1] = strdup("two");
	top_take_events(&w.top, w.top.record.flow_id, lines, 2);
	top_take_record(&w.top, w.top.record.flow_id, conn);
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, "198.19.7.7:50096");
	assert_shows(&w, "SYN-SENT");
	assert_shows(&w, "SYN-RECEIVED");
	assert_shows(&w, "12345");
	assert_shows(&w, "1460, 7");
	assert_shows(&w, "1400, -");
	assert_shows(&w, "SACK yes");
	assert_shows(&w, "timestamps no");
	assert_shows(&w, "service web, half_open");
	assert_true(find(&w, "one") < find(&w, "two"));
	top_take_record(&w.top, w.top.record.flow_id, NULL);
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, "It is over; this is how it was last seen.");
	assert_shows(&w, "SYN-RECEIVED");
	top_take_record(&w.top, 4711, bare); /* an answer that comes too late */
	assert_true(w.top.record.over);
	top_take_record(&w.top, w.top.record.flow_id, bare);
	top_draw(&w.top, &w.canvas);
	assert_shows(&w, "unknown");
	end(&w);
	json_decref(conn);
	json_decref(bare);
}

/* ---- history and charts ---- */

static void add(struct top_history *h, s64 t, s64 syns, bool attacked)
{
	history_add(h, &(struct history_point){t, {syns, 0, 0}, attacked});
}

static void test_history(void **state)
{
	struct top_history *h = calloc(1, sizeof(*h));
	s64 v[60];
	bool attacked[60];
	int i;

	(void)state;
	for (i = 1; i <= 60; i++)
		if (i < 20 || i > 30)
			add(h, i * 1000, i, i == 40);
	add(h, 60000, 999, false); /* once is enough */
	assert_int_equal(h->n, 49);
	history_values(h, SERIES_SYNS, 60999, 60000, 60, v, attacked);
	for (i = 0; i < 60; i++) {
		assert_int_equal(v[i], i + 1 < 20 || i + 1 > 30 ? i + 1 : UNKNOWN_NUMBER);
		assert_int_equal(attacked[i], i + 1 == 40);
	}
	history_values(h, SERIES_SYNS, 60999, 60000, 6, v, attacked);
	assert_int_equal(v[5], 60); /* the greatest; its part began at 60 s */
	assert_int_equal(v[4], 59);
	assert_int_equal(v[2], 39);
	assert_int_equal(v[1], UNKNOWN_NUMBER);
	assert_true(attacked[3] && !attacked[2]);
	for (i = 0; i < 2000; i++)
		add(h, 100000 + i * 1000, i, false);
	assert_int_equal(h->n, HISTORY_POINTS);
	assert_int_equal(h->at[HISTORY_POINTS - 1].value[SERIES_SYNS], 1999);
	add(h, 3000000, INT64_MAX, false);
	assert_int_equal(chart_scale(h->at[HISTORY_POINTS - 1].value[SERIES_SYNS]),
			 1000000000000000);
	add(h, 5000, 1, false); /* the clock was set back */
	assert_int_equal(h->n, 1);
	free(h);
}

/* Less than a second a part: no holes between looks that are not quite a second apart, and what
 * was drawn stays as it is. */
static void test_history_fine(void **state)
{
	struct top_history *h = calloc(1, sizeof(*h));
	s64 v[240], before[240];
	bool attacked[240];
	int i;

	(void)state;
	for (i = 1; i <= 60; i++)
		add(h, i * 1013, i, false);
	history_values(h, SERIES_SYNS, 60 * 1013, 60000, 240, before, attacked);
	for (i = 8; i < 240; i++)
		assert_true(before[i] > 0);
	add(h, 61 * 1013, 61, false);
	history_values(h, SERIES_SYNS, 60 * 1013 + 1000, 60000, 240, v, attacked);
	for (i = 8; i < 235; i++)
		assert_int_equal(v[i], before[i + 4]);
	free(h);
}

static void test_chart(void **state)
{
	const struct chart chart = {"SYN/s", SERIES_SYNS, STYLE_SYN, 60999, 60000};
	const struct rect all = {0, 0, 6, 36};
	struct top_history *h = calloc(1, sizeof(*h));
	struct world w = {0};
	int i;

	(void)state;
	for (i = 1; i <= 60; i++)
		if (i != 31 && i != 32)
			add(h, i * 1000, i < 30 ? 0 : i > 50 ? 100 : 1, i > 50);
	assert_true(canvas_new(&w.canvas, 36, 6, GLYPHS_BRAILLE));
	chart_draw(&w.canvas, &all, &chart, h);
	assert_non_null(strstr(line(&w, 0), "SYN/s 100  peak 100"));
	assert_non_null(strstr(line(&w, 1), "  100\u2502"));
	assert_non_null(strstr(line(&w, 4), "    0\u2502\u28c0\u28c0"));
	assert_non_null(strstr(line(&w, 5), "-60s"));
	assert_non_null(strstr(line(&w, 5), "now"));
	assert_int_equal(w.canvas.at[4 * 36 + 6].style, STYLE_DIM); /* 0 */
	assert_int_equal(w.canvas.at[4 * 36 + 6 + 15].ch, ' ');     /* not known */
	assert_int_equal(w.canvas.at[4 * 36 + 6 + 20].ch, 0x28c0);  /* 1 of 100 is not 0 */
	assert_int_equal(w.canvas.at[4 * 36 + 6 + 20].style, STYLE_SYN);
	assert_int_equal(w.canvas.at[1 * 36 + 35].ch, 0x28ff);
	assert_int_equal(w.canvas.at[1 * 36 + 35].style, STYLE_ATTACK);
	canvas_free(&w.canvas);
	assert_true(canvas_new(&w.canvas, 36, 6, GLYPHS_ASCII));
	chart_draw(&w.canvas, &all, &chart, h);
	assert_non_null(strstr(line(&w, 4), "    0|-----"));
	assert_int_equal(w.canvas.at[1 * 36 + 35].ch, '#');
	canvas_free(&w.canvas);
	free(h);
}

static int load(void **state)
{
	FILE *f = fopen("tests/unit/top/frames.jsonl", "r");
	char *text = NULL;
	size_t room = 0;
	int n;

	(void)state;
	for (n = 0; f && n < SAMPLES && getline(&text, &room, f) > 0; n++)
		samples[n] = json_loads(text, 0, NULL);
	free(text);
	if (f)
		fclose(f);
	history = json_load_file("tests/unit/top/history.json", 0, NULL);
	setenv("TZ", "UTC", 1);
	return n == SAMPLES && history ? 0 : -1;
}

static int unload(void **state)
{
	int n;

	(void)state;
	for (n = 0; n < SAMPLES; n++)
		json_decref(samples[n]);
	json_decref(history);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),      cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_anything),     cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_attack),       cmocka_unit_test(test_low),
		cmocka_unit_test(test_calm),         cmocka_unit_test(test_observed),
		cmocka_unit_test(test_cookies_only), cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_panes),        cmocka_unit_test(test_sort),
		cmocka_unit_test(test_filter),       cmocka_unit_test(test_pause),
		cmocka_unit_test(test_selection),    cmocka_unit_test(test_record),
		cmocka_unit_test(test_history),      cmocka_unit_test(test_history_fine),
		cmocka_unit_test(test_chart),
	};

	return cmocka_run_group_tests_name("the dashboard", tests, load, unload);
}
