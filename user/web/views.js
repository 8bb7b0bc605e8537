// SPDX-License-Identifier: GPL-2.0-only
// What a frame says, in words and tables.

import {byId, h, setHidden, setText} from "./dom.js";
import {UNKNOWN, duration, end, exact, number, parseTime, rate, seconds, service, clock} from "./format.js";
import {Table} from "./table.js";

// ---- the banner

function list(words) {
	return words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words.at(-1);
}

function stateWords(frame) {
	if (frame.state !== "attack")
		return "CALM";
	const names = frame.attacked.slice(0, 3).map(service);

	if (frame.attacked.length > 3)
		names.push(`${frame.attacked.length - 3} more`);
	return `ATTACK on ${list(names)}`;
}

function whyWords(frame) {
	const words = frame.why_words.length ? `Because of ${list(frame.why_words)}. ` : "";

	return words + (frame.spoofed === null ? "" : frame.spoofed
		? "The sources look spoofed: blocking them would not help, cookies do."
		: "The sources look real: the list of sources below says which.");
}

// What the numbers do not say by themselves.
function note(frame) {
	const n = frame.totals, bound = n.half_open_bound ? ` of ${number(n.half_open_bound)}` : "";

	if (frame.services.some((s) => s.observed_because))
		return "Some services are only observed: " + frame.services.find((s) => s.observed_because)
			.observed_because + ".";
	if (frame.state === "attack" && n.cookie_rate > 0)
		return `${rate(n.cookie_rate)} are answered with cookies, which uses no memory: that is why only ` +
			`${number(n.half_open)}${bound} connections are half-open. Real clients get in: ` +
			`${rate(n.validated_rate)} proved their cookie.`;
	if (frame.state === "attack" && frame.services.every((s) => s.mode === "observe"))
		return "Mode observe: synstile watches and counts, but answers and drops nothing.";
	return "";
}

export function showBanner(frame) {
	const banner = byId("banner");

	if (banner.dataset.state !== frame.state)
		banner.dataset.state = frame.state;
	setText(byId("banner-state"), stateWords(frame));
	setText(byId("banner-for"), frame.since ? `since ${clock(parseTime(frame.since))}, for ${seconds(frame.for_ms)}`
		: `since synstile watches, for ${seconds(frame.uptime_ms)}`);
	setText(byId("banner-why"), frame.state === "attack" ? whyWords(frame) : "");
	setText(byId("banner-note"), note(frame));
	document.title = frame.state === "attack" ? "ATTACK · " + (frame.hostname || "synstile")
		: "calm · " + (frame.hostname || "synstile");
}

// Nobody tells any more how it is.
export function showUnknown(frame) {
	byId("banner").dataset.state = "lost";
	setText(byId("banner-state"), "NOT KNOWN");
	setText(byId("banner-for"), frame ? `at ${clock(parseTime(frame.timestamp))} it was: ${stateWords(frame)}` : "");
	setText(byId("banner-why"), "");
	setText(byId("banner-note"), "");
	document.title = "? · " + (frame?.hostname || "synstile");
}

// ---- facts and totals

export function showFacts(frame) {
	const facts = [["Host", frame.hostname || "?"]];

	if (frame.instance !== "host")
		facts.push(["Instance", frame.instance]);
	facts.push(["Interfaces", frame.interfaces.map((i) => `${i.name} (${i.xdp})`).join(", ") || "none"],
		["Mode", frame.mode || "per service"], ["Cookies", frame.cookies]);
	const text = JSON.stringify(facts), place = byId("facts");

	if (place.dataset.text !== text) {
		place.dataset.text = text;
		place.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
	}
	const lost = frame.lost.limited + frame.lost.ring;

	setText(byId("about"), `synstile ${frame.version}, up for ${duration(frame.uptime_ms)}, policy ` +
		`${frame.policy.generation}${frame.policy.file ? ` (${frame.policy.file})` : ""}` +
		(lost ? `, ${number(lost)} events not told (more than the limit)` : ""));
}

const TILES = [
	["New SYNs", (n) => rate(n.syn_rate), "connection attempts"],
	["Cookies", (n) => rate(n.cookie_rate), "answered without memory"],
	["Proven", (n) => rate(n.validated_rate), "clients that returned one"],
	["Completed", (n) => rate(n.completed_rate), "handshakes, all ways"],
	["Dropped", (n) => rate(n.dropped_rate), "packets with a reason"],
	["Half-open", (n) => number(n.half_open), (n) => n.half_open_bound ? `of ${number(n.half_open_bound)} allowed` : "in synstile's table"],
	["In the kernel", (n) => number(n.kernel_half_open), "half-open (SYN-RECV)"],
	["Connections", (n) => number(n.open), (n) => `established; ${number(n.flows)} of ${number(n.max_flows)} followed`],
];
let tiles = null;

export function showTiles(frame) {
	const n = frame.totals;

	if (!tiles) {
		tiles = TILES.map(([name]) => ({name, value: h("dd", {class: "tile-value"}), note: h("dd", {class: "tile-note"})}));
		byId("tiles").replaceChildren(...tiles.map((t) => h("div", {class: "tile"}, h("dt", {}, t.name), t.value, t.note)));
	}
	TILES.forEach(([, value, words], i) => {
		setText(tiles[i].value, value(n));
		setText(tiles[i].note, typeof words === "string" ? words : words(n));
	});
}

// ---- tables

const STATE_WORDS = {attack: "ATTACK", calm: "calm", observe: "observe", always: "always"};

function budget(s) {
	return s.half_open_bound ? s.half_open / s.half_open_bound : 0;
}

function level(part) {
	return part >= 0.9 ? "high" : part >= 0.6 ? "raised" : "normal";
}

export function servicesTable() {
	const n = (id, title, of, text) => ({id, title, of, text: text || ((s) => rate(of(s))), number: true, desc: true});

	return new Table(byId("services"), [
		{id: "service", title: "Service", of: (s) => s.service, head: true,
		 text: (s) => service(s.service) + (s.ports?.length && String(s.ports[0]) !== s.service
			? ` :${s.ports.slice(0, 3).join(",")}${s.ports.length > 3 ? "…" : ""}` : "")},
		{id: "state", title: "State", of: (s) => s.state, level: (s) => s.state,
		 text: (s) => STATE_WORDS[s.state] + (s.for_ms === null ? "" : ` ${seconds(s.for_ms)}`),
		 title_of: (s) => s.observed_because || ""},
		n("syns", "SYN/s", (s) => s.syn_rate),
		n("cookies", "Cookies/s", (s) => s.cookie_rate),
		n("validated", "Proven/s", (s) => s.validated_rate),
		n("dropped", "Dropped/s", (s) => s.dropped_rate),
		{id: "half", title: "Half-open", of: (s) => s.half_open, number: true, desc: true, bar: budget,
		 level: (s) => level(budget(s)),
		 text: (s) => number(s.half_open) + (s.half_open_bound ? ` of ${number(s.half_open_bound)}` : "")},
		n("timeout", "SYN timeout", (s) => s.syn_timeout_ms, (s) => duration(s.syn_timeout_ms)),
		n("kernel", "Kernel", (s) => s.kernel_half_open, (s) => number(s.kernel_half_open)),
		n("attacks", "Attacks", (s) => s.attacks, (s) => number(s.attacks)),
	], {caption: "Services: state, rates, half-open connections and SYN timeout", key: (s) => s.service + "/" + s.port,
	    sort: null});
}

export function showServices(table, frame) {
	const more = frame.services_total - frame.services.length;

	table.show(frame.services);
	setText(byId("services-note"), more > 0 ? `the ${frame.services.length} busiest of ${frame.services_total}`
		: `${frame.services_total}`);
}

function share(c) {
	return c.left_ms === null ? 0 : c.age_ms / (c.age_ms + c.left_ms || 1);
}

export function halfOpenTable(onSelect) {
	return new Table(byId("half"), [
		{id: "age", title: "Age", of: (c) => c.age_ms, number: true, desc: true, bar: share, level: (c) => level(share(c)),
		 text: (c) => duration(c.age_ms), title_of: (c) => c.left_ms === null ? "" : `${duration(c.left_ms)} left`},
		{id: "source", title: "Source", of: (c) => c.src_ip, text: (c) => end(c.src_ip, c.src_port), head: true},
		{id: "service", title: "Service", of: (c) => c.service || "",
		 text: (c) => c.service ? service(c.service) : (c.host_is === "client" ? "(outgoing)" : end(c.dest_ip, c.dest_port))},
		{id: "syns", title: "SYNs", of: (c) => c.syns, text: (c) => number(c.syns), number: true, desc: true},
		{id: "answers", title: "SYN-ACKs", of: (c) => c.syn_acks, text: (c) => number(c.syn_acks), number: true, desc: true},
		{id: "left", title: "Ends in", of: (c) => c.left_ms, text: (c) => duration(c.left_ms), number: true},
	], {caption: "Half-open connections, with how long their handshake has lasted and may still last",
	    key: (c) => c.flow_id ?? `${c.src_ip} ${c.src_port} ${c.dest_port}`, sort: "age", onSelect,
	    label: (c) => `${end(c.src_ip, c.src_port)} to ${c.service || c.dest_port}, half-open; Enter shows the connection`});
}

function whyEmpty(frame, filtered) {
	const n = frame.totals;

	if (filtered)
		return "No half-open connection matches the filter.";
	if (n.cookie_rate > 0)
		return `None in the table, and that is right: ${rate(n.cookie_rate)} are answered with cookies, ` +
			"for which nothing is remembered until the client proves itself.";
	return "None: every handshake that began is complete.";
}

export function showHalfOpen(table, frame, filter) {
	const h = frame.half_open, words = filter.trim().toLowerCase();
	const shown = !words ? h.connections : h.connections.filter((c) =>
		`${end(c.src_ip, c.src_port)} ${end(c.dest_ip, c.dest_port)} ${c.service || ""}`.toLowerCase().includes(words));
	let text = h.total === h.connections.length ? `${number(h.total)}` : `the ${h.connections.length} oldest of ${number(h.total)}`;

	if (words)
		text += `, ${shown.length} shown`;
	if (h.listed_ms_ago > 1500)
		text += `, as of ${seconds(h.listed_ms_ago)} ago`;
	if (frame.state === "attack" && frame.totals.cookie_rate > 0)
		text += "; the flood itself is answered with cookies and is not in here";
	table.show(shown);
	setText(byId("half-note"), text);
	setHidden(byId("half"), !shown.length);
	setHidden(byId("half-empty"), shown.length > 0);
	setText(byId("half-empty"), whyEmpty(frame, words && h.connections.length));
}

export function sourcesTable() {
	return new Table(byId("sources"), [
		{id: "prefix", title: "Prefix", of: (s) => s.prefix, text: (s) => s.prefix, head: true},
		{id: "percent", title: "Share", of: (s) => s.percent, number: true, bar: (s) => s.percent / 100,
		 text: (s) => s.percent.toFixed(s.percent < 9.95 ? 1 : 0) + " %"},
		{id: "rate", title: "SYN/s", of: (s) => s.syn_rate, text: (s) => rate(s.syn_rate), number: true},
	], {caption: "Prefixes that most new SYNs come from", key: (s) => s.prefix, sort: null});
}

export function showSources(table, frame) {
	const top = frame.top_sources;

	table.show(top.sources);
	setText(byId("sources-note"), `last ${Math.round(top.over_ms / 1000)} s, ${number(top.samples)} samples`);
	setHidden(byId("sources"), !top.sources.length);
	setHidden(byId("sources-empty"), top.sources.length > 0);
	setText(byId("sources-empty"), !top.samples ? "No new SYNs in the last 10 s."
		: frame.state === "attack" ? "No prefix stands out: they come from everywhere." : "No prefix stands out.");
}

let meanings = {};

fetch("/assets/verdicts.json").then((r) => r.json()).then((all) => {
	meanings = all;
}).catch(() => {});

function meaning(v) {
	return meanings[v.verdict]?.[1] || "";
}

export function verdictsTable() {
	return new Table(byId("verdicts"), [
		{id: "verdict", title: "Reason", of: (v) => v.verdict, head: true, title_of: meaning,
		 level: (v) => (meanings[v.verdict]?.[0] || "").toLowerCase(),
		 text: (v) => v.verdict + (v.what === "observed" ? " (observed)" : "")},
		{id: "what", title: "Meaning", of: meaning, text: (v) => meaning(v) || UNKNOWN},
		{id: "rate", title: "Now", of: (v) => v.rate, text: (v) => rate(v.rate), number: true},
		{id: "total", title: "Total", of: (v) => v.total, text: (v) => number(v.total), number: true,
		 title_of: (v) => exact(v.total)},
	], {caption: "Verdicts: why packets passed, were answered or dropped", key: (v) => v.verdict + v.what, sort: null});
}

export function showVerdicts(table, frame) {
	table.show(frame.verdicts);
	setHidden(byId("verdicts"), !frame.verdicts.length);
	setHidden(byId("verdicts-empty"), frame.verdicts.length > 0);
	setText(byId("verdicts-empty"), "Nothing has been counted yet.");
}
