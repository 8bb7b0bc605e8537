// SPDX-License-Identifier: GPL-2.0-only
// The list of connections, and one of them in full: its diagram moves as events come.

import {byId, h, setHidden, setText} from "./dom.js";
import {UNKNOWN, bytes, clock, duration, end, exact, number, parseTime, service} from "./format.js";
import {Diagram, repeated, segmentsOf} from "./diagram.js";
import {getJSON} from "./live.js";
import {Table} from "./table.js";

const POLL_MS = 2000;
const LIMIT = 200;
const STATES = ["SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING",
	"TIME-WAIT", "CLOSE-WAIT", "LAST-ACK", "CLOSED"];
const ORDERS = [["newest", "newest"], ["age", "oldest"], ["bytes", "most bytes"], ["rtx", "most repeated"]];
const EVENTS = ["tcp_state", "half_open_timeout", "retransmission", "keepalive", "verdict", "lost"];
const ENDS = {
	fin: "closed by both sides", rst_client: "reset by the client", rst_server: "reset by the server",
	syn_timeout: "the handshake was never completed", close_timeout: "the close was never completed",
	idle: "nothing was heard for too long", dead_peer: "keepalives were not answered",
	forgotten: "the host's stack has it no more", reused: "its ports are in use by a new connection",
};
const ADMISSIONS = {
	calm: "its SYN passed: the service was calm", cookie: "it proved a cookie",
	adopted: "it was there before synstile", host: "the host opened it",
	allowed: "its source is on the allow list", verified: "its source had proved a cookie before",
};

function total(c, what) {
	return c.tcp.client ? c.tcp.client[what] + c.tcp.server[what] : null;
}

function where(c) {
	return c.synstile.service ? `${service(c.synstile.service)} (${end(c.dest_ip, c.dest_port)})` : end(c.dest_ip, c.dest_port);
}

// ---- the list

export class Connections {
	constructor(onSelect) {
		this.form = byId("conns-form");
		this.table = new Table(byId("conns"), [
			{id: "client", title: "Client", of: (c) => c.src_ip, text: (c) => end(c.src_ip, c.src_port), head: true},
			{id: "to", title: "Server", of: where, text: where},
			{id: "cs", title: "Client is in", of: (c) => c.tcp.client_state, text: (c) => c.tcp.client_state ?? UNKNOWN},
			{id: "ss", title: "Server is in", of: (c) => c.tcp.server_state, text: (c) => c.tcp.server_state ?? UNKNOWN},
			{id: "admission", title: "Let in by", of: (c) => c.synstile.admission, text: (c) => c.synstile.admission ?? UNKNOWN,
			 title_of: (c) => ADMISSIONS[c.synstile.admission] || ""},
			{id: "age", title: "Age", of: (c) => c.synstile.age_ms, text: (c) => duration(c.synstile.age_ms), number: true},
			{id: "bytes", title: "Bytes", of: (c) => total(c, "bytes"), text: (c) => bytes(total(c, "bytes")), number: true},
			{id: "rtx", title: "Repeated", of: (c) => total(c, "retransmissions"), number: true,
			 text: (c) => number(total(c, "retransmissions"))},
		], {caption: "Connections with the TCP states of both ends", key: (c) => c.flow_id, onSelect, sort: null,
		    label: (c) => `${end(c.src_ip, c.src_port)} to ${where(c)}: client in ${c.tcp.client_state}, ` +
			`server in ${c.tcp.server_state}; Enter shows it`});
		this.choices();
		this.form.addEventListener("submit", (event) => event.preventDefault());
		this.form.addEventListener("input", () => this.soon(250));
		document.addEventListener("visibilitychange", () => this.soon(0));
		this.soon(0);
	}

	choices() {
		this.form.elements.state.append(h("option", {value: ""}, "any"), ...STATES.map((s) => h("option", {value: s}, s)));
		this.form.elements.sort.append(...ORDERS.map(([value, name]) => h("option", {value}, name)));
	}

	soon(ms) {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.poll(), ms);
	}

	query() {
		const q = new URLSearchParams({limit: LIMIT});

		for (const name of ["host", "port", "state", "sort"])
			if (this.form.elements[name].value.trim())
				q.set(name, this.form.elements[name].value.trim());
		return q;
	}

	async poll() {
		if (!document.hidden) {
			this.asking?.abort();
			const asking = this.asking = new AbortController();

			try {
				this.show(await getJSON("/v1/conns?" + this.query(), asking.signal));
			} catch (error) {
				if (error.name === "AbortError")
					return; // another question took its place
				this.trouble(error.message);
			}
		}
		this.soon(POLL_MS);
	}

	show(answer) {
		const list = answer.connections, {host, port, state} = this.form.elements;

		this.table.show(list);
		setText(byId("conns-note"), answer.total > list.length
			? `${list.length} of ${exact(answer.total)}; filter to find one` : `${list.length}`);
		this.empty(!list.length, host.value || port.value || state.value ? "No connection fits the filter."
			: "No connections.");
	}

	empty(yes, words) {
		setHidden(byId("conns"), yes);
		setHidden(byId("conns-empty"), !yes);
		setText(byId("conns-empty"), words);
	}

	trouble(words) {
		this.table.show([]);
		setText(byId("conns-note"), "");
		this.empty(true, words);
	}
}

// ---- one of them

export class Flow {
	constructor() {
		this.dialog = byId("flow");
		this.diagram = new Diagram(byId("flow-diagram"));
		this.steps = byId("flow-steps");
		byId("flow-close").addEventListener("click", () => this.dialog.close());
		this.dialog.addEventListener("close", () => this.ended());
		// a click beside it
		this.dialog.addEventListener("click", (event) => {
			if (event.target === this.dialog)
				this.dialog.close();
		});
	}

	open(c) {
		this.stop();
		this.id = c.flow_id;
		this.change = -1;
		this.last = null;
		this.began = null;
		this.seen = new Set();
		this.steps.replaceChildren();
		this.diagram.clear();
		this.diagram.row = -1;
		byId("flow-facts").replaceChildren();
		setText(byId("flow-ends"), `${end(c.src_ip, c.src_port)} → ${end(c.dest_ip, c.dest_port)}`);
		setText(byId("flow-now"), "");
		if (!this.dialog.open)
			this.dialog.showModal();
		this.follow();
		this.poll();
	}

	stop() {
		this.source?.close();
		clearTimeout(this.timer);
		clearTimeout(this.again);
	}

	ended() {
		this.stop();
		this.id = null;
	}

	follow() {
		const after = this.last ? "&after=" + encodeURIComponent(this.last) : "&backlog=1000000";

		this.source = new EventSource(`/v1/events?flow=${this.id}${after}`);
		for (const type of EVENTS)
			this.source.addEventListener(type, (event) => this.take(type, event));
		this.source.addEventListener("error", () => {
			if (this.source.readyState !== EventSource.CLOSED)
				return;
			clearTimeout(this.again);
			this.again = setTimeout(() => this.id && this.follow(), POLL_MS);
		});
	}

	take(type, message) {
		const event = JSON.parse(message.data), tcp = event.tcp;

		if (message.lastEventId) {
			if (this.seen.has(message.lastEventId))
				return;
			this.seen.add(message.lastEventId);
			this.last = message.lastEventId;
		}
		if (type === "lost") {
			if (this.began !== null) // else they were before this connection's
				this.step(event, "some events are missing here", "lost");
			return;
		}
		for (const [side, words, kind] of segmentsOf(event))
			this.diagram.arrow(side, words, kind);
		if (tcp?.client_state) {
			this.change = event.synstile.change ?? this.change;
			this.begin(tcp);
			this.states(tcp.client_state, tcp.server_state, event.synstile.end);
		}
		this.step(event, this.words(event), type);
		this.soon(300);
	}

	// The record, again.
	soon(ms) {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.poll(), ms);
	}

	// Where both ends were before the first event.
	begin(tcp) {
		if (this.diagram.states.client === undefined)
			this.diagram.set(tcp.old_client_state ?? tcp.client_state, tcp.old_server_state ?? tcp.server_state);
	}

	states(client, server, how) {
		this.diagram.set(client, server);
		setText(byId("flow-now"), `Client ${client ?? "unknown"}, server ${server ?? "unknown"}` +
			(how ? `: ${ENDS[how] || how}` : ""));
	}

	words(event) {
		const tcp = event.tcp || {}, parts = [];

		if (event.event_type === "retransmission")
			return `${event.retransmission.side} sends ${repeated(event.retransmission)} again`;
		if (event.event_type === "keepalive")
			return `${event.keepalive.side} asks whether the other end is there (${event.keepalive.unanswered} unanswered)`;
		if (event.event_type === "verdict")
			return `a packet was dropped: ${event.synstile.verdict}`;
		for (const side of ["client", "server"])
			if (tcp[`old_${side}_state`])
				parts.push(`${side} ${tcp[`old_${side}_state`]} → ${tcp[`${side}_state`]}`);
		if (event.synstile?.end)
			parts.push(ENDS[event.synstile.end] || event.synstile.end);
		return parts.join(", ") || event.event_type;
	}

	step(event, words, kind) {
		const t = parseTime(event.timestamp);

		this.began ??= t;
		this.steps.append(h("li", {"data-kind": kind},
			h("time", {datetime: new Date(t).toISOString()}, clock(t, 3)),
			h("span", {class: "delta"}, "+" + duration(Math.max(0, t - this.began))), h("span", {}, words)));
		while (this.steps.children.length > 500)
			this.steps.firstElementChild.remove();
		this.steps.scrollTop = this.steps.scrollHeight;
	}

	async poll() {
		const id = this.id;

		try {
			const answer = await getJSON(`/v1/conns?flow_id=${id}&limit=1`);

			if (id !== this.id)
				return;
			if (answer.connections.length)
				this.record(answer.connections[0]);
			else
				this.gone();
		} catch (error) {
			if (id !== this.id)
				return;
			setText(byId("flow-now"), error.message);
		}
		this.soon(POLL_MS);
	}

	gone() {
		if (!this.steps.children.length)
			setText(byId("flow-now"), "This connection is over, and its record is gone.");
	}

	record(c) {
		const s = c.synstile, t = c.tcp;
		const both = (what, f) => t.client ? `${f(t.client[what])} by the client, ${f(t.server[what])} by the server` : UNKNOWN;
		const facts = [
			["Service", s.service ? service(s.service) : "none"], ["This host is", `the ${s.host_is}`],
			["Let in", s.admission ? ADMISSIONS[s.admission] || s.admission : UNKNOWN], ["Age", duration(s.age_ms)],
			["Handshake", s.handshake_rtt_us === null ? UNKNOWN : `${(s.handshake_rtt_us / 1000).toFixed(2)} ms round trip`],
			["Bytes", both("bytes", bytes)], ["Segments", both("segments", number)],
			["Repeated", both("retransmissions", number)],
			["MSS", t.client ? `${t.client.mss ?? UNKNOWN} / ${t.server.mss ?? UNKNOWN}` : UNKNOWN],
		];

		byId("flow-facts").replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
		if ((s.change ?? 0) >= this.change)
			this.states(t.client_state, t.server_state, s.end);
	}
}
