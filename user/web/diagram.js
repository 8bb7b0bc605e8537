// SPDX-License-Identifier: GPL-2.0-only
// A connection as RFC 9293 sees it: the client's states on the left, the server's on the right, and
// between them the segments that make them change. It moves as events come.

import {reducedMotion, svg} from "./dom.js";

const W = 86, H = 26, GAP = 8, MIDDLE = 92, ROW = 42, TOP = 30;
const SIDE = 2 * W + GAP;
const WIDTH = 2 * SIDE + MIDDLE, HEIGHT = TOP + 6 * ROW + H + 8;

// [column, row, columns]; who closes first goes down in column 0, the other in column 1
const PLACES = {
	"LISTEN": [1, 0, 1], "SYN-SENT": [0, 1, 1], "SYN-RECEIVED": [1, 1, 1], "ESTABLISHED": [0, 2, 2],
	"FIN-WAIT-1": [0, 3, 1], "FIN-WAIT-2": [0, 4, 1], "CLOSING": [0, 5, 1], "TIME-WAIT": [0, 6, 1],
	"CLOSE-WAIT": [1, 3, 1], "LAST-ACK": [1, 4, 1], "CLOSED": [1, 6, 1],
};
const EDGES = [
	["LISTEN", "SYN-RECEIVED"], ["SYN-SENT", "ESTABLISHED"], ["SYN-SENT", "SYN-RECEIVED"],
	["SYN-RECEIVED", "ESTABLISHED"], ["ESTABLISHED", "FIN-WAIT-1"], ["ESTABLISHED", "CLOSE-WAIT"],
	["FIN-WAIT-1", "FIN-WAIT-2"], ["FIN-WAIT-2", "TIME-WAIT", "around"], ["FIN-WAIT-1", "CLOSING", "around"],
	["CLOSING", "TIME-WAIT"], ["CLOSE-WAIT", "LAST-ACK"], ["LAST-ACK", "CLOSED"], ["TIME-WAIT", "CLOSED"],
];
const SIDES = ["client", "server"];

// The columns are mirrored, so that on both sides number 1 is the inner one for the passive end.
function box(side, state) {
	const [column, row, columns] = PLACES[state], w = columns * W + (columns - 1) * GAP;
	const x = side === "client" ? column * (W + GAP) : WIDTH - column * (W + GAP) - w;

	return {x, y: TOP + row * ROW, w, h: H, cx: x + w / 2, cy: TOP + row * ROW + H / 2};
}

// A curve, from the lower edge of one to the upper edge of the other, or outside past what is between.
function edgePath(side, from, to, around) {
	const a = box(side, from), b = box(side, to);

	if (around) {
		const out = side === "client" ? a.x + 5 : a.x + a.w - 5, bend = side === "client" ? -14 : 14;

		return `M${out} ${a.y + H} C${out + bend} ${a.y + H + 12} ${out + bend} ${b.y - 12} ${out} ${b.y}`;
	}
	if (a.y === b.y) {
		const right = b.x > a.x;

		return `M${right ? a.x + a.w : a.x} ${a.cy} L${right ? b.x : b.x + b.w} ${b.cy}`;
	}
	const from_x = a.w > W ? b.cx : a.cx, to_x = b.w > W ? a.cx : b.cx;

	return `M${from_x} ${a.y + H} C${from_x} ${a.y + H + 10} ${to_x} ${b.y - 10} ${to_x} ${b.y}`;
}

export class Diagram {
	constructor(place) {
		this.nodes = {client: {}, server: {}};
		this.edges = {client: {}, server: {}};
		this.states = {};
		this.visited = {client: new Set(), server: new Set()};
		this.title = svg("title", {id: "diagram-title"}, "States of both ends");
		this.wires = svg("g", {class: "wires"});
		this.root = svg("svg", {viewBox: `-16 0 ${WIDTH + 32} ${HEIGHT}`, role: "img", "aria-labelledby": "diagram-title"},
			this.title, ...SIDES.map((side) => this.side(side)), this.wires);
		place.replaceChildren(this.root);
	}

	side(side) {
		const group = svg("g", {class: "side " + side});
		const middle = side === "client" ? SIDE / 2 : WIDTH - SIDE / 2;

		group.append(svg("text", {x: middle, y: 16, class: "side-name"}, side));
		for (const [from, to, around] of EDGES) {
			const path = svg("path", {class: "edge", d: edgePath(side, from, to, around)});

			this.edges[side][from + ">" + to] = path;
			group.append(path);
		}
		for (const state of Object.keys(PLACES)) {
			const b = box(side, state);
			const node = svg("g", {class: "node", "data-state": state},
				svg("rect", {x: b.x, y: b.y, width: b.w, height: b.h, rx: 7}),
				svg("text", {x: b.cx, y: b.cy + 3.6}, state));

			this.nodes[side][state] = node;
			group.append(node);
		}
		return group;
	}

	// What both ends are in now; null: not known.
	set(client, server) {
		const now = {client, server};

		for (const side of SIDES) {
			const before = this.states[side], state = now[side];

			if (before === state)
				continue;
			for (const [name, node] of Object.entries(this.nodes[side])) {
				node.classList.toggle("present", name === state);
				node.classList.toggle("visited", name !== state && this.visited[side].has(name));
			}
			if (this.nodes[side][before]) {
				this.nodes[side][before].classList.add("visited");
				this.visited[side].add(before);
				this.edges[side][before + ">" + state]?.classList.add("taken");
			}
			if (state)
				this.visited[side].add(state);
			this.states[side] = state;
		}
		this.title.textContent = `The client is in ${client || "an unknown state"}, the server in ${server || "an unknown state"}`;
	}

	// Another connection.
	clear() {
		for (const side of SIDES) {
			this.visited[side].clear();
			for (const element of [...Object.values(this.nodes[side]), ...Object.values(this.edges[side])])
				element.classList.remove("present", "visited", "taken");
		}
		this.states = {};
		this.wires.replaceChildren();
	}

	// An arrow from `side` to the other: what was sent.
	arrow(side, text, kind) {
		const y = this.arrowRow();
		const left = SIDE + 6, right = WIDTH - SIDE - 6, from = side === "client" ? left : right;
		const to = side === "client" ? right : left, tip = side === "client" ? -6 : 6;
		const wire = svg("g", {class: "wire " + kind},
			svg("line", {x1: from, y1: y, x2: to, y2: y, pathLength: 1}),
			svg("path", {class: "tip", d: `M${to} ${y} l${tip} -3.5 v7 z`}),
			svg("text", {x: (from + to) / 2, y: y - 5}, text));

		for (const old of this.wires.children)
			old.classList.add("old");
		this.wires.append(wire);
		while (this.wires.children.length > 12)
			this.wires.firstElementChild.remove();
		if (!reducedMotion())
			wire.animate([{opacity: 0}, {opacity: 1}], {duration: 250, easing: "ease-out"});
	}

	// From top to bottom, and again.
	arrowRow() {
		const rows = 12, n = (this.row = ((this.row ?? -1) + 1) % rows);

		for (const old of [...this.wires.children])
			if (Number(old.dataset?.row) === n)
				old.remove();
		return TOP + 14 + n * ((HEIGHT - TOP - 20) / rows);
	}
}

// ---- which segment made it change

const SENT = {"SYN-SENT": "SYN", "FIN-WAIT-1": "FIN", "LAST-ACK": "FIN"};

export function repeated(r) {
	return !r.syn ? "data" : r.side === "client" ? "SYN" : "SYN-ACK";
}

// [side, words, kind] of each, in order.
export function segmentsOf(event) {
	const tcp = event.tcp || {}, meta = event.synstile || {};
	const change = {client: [tcp.old_client_state, tcp.client_state], server: [tcp.old_server_state, tcp.server_state]};
	const found = [];

	if (event.event_type === "retransmission") {
		const r = event.retransmission;

		return [[r.side, repeated(r) + " again", "again"]];
	}
	if (event.event_type === "keepalive")
		return [[event.keepalive.side, "keepalive", "again"]];
	if (event.event_type !== "tcp_state")
		return [];
	if (meta.end === "rst_client" || meta.end === "rst_server")
		return [[meta.end.slice(4), "RST", "reset"]];
	for (const side of ["client", "server"]) {
		const [from, to] = change[side], other = side === "client" ? "server" : "client";

		if (!from)
			continue;
		if (SENT[to])
			found.push([side, SENT[to], "sent"]);
		else if (to === "SYN-RECEIVED")
			found.push([side, "SYN-ACK", "sent"]);
		else if (to === "CLOSE-WAIT" || to === "CLOSING" || to === "TIME-WAIT")
			found.push([side, "ACK", "sent"]);
		else if (to === "FIN-WAIT-2" || (from === "LAST-ACK" && to === "CLOSED"))
			found.push([other, "ACK", "sent"]);
		else if (from === "SYN-RECEIVED" && to === "ESTABLISHED")
			found.push([other, "ACK", "sent"]);
	}
	return found.filter(([side, text], i) => !found.slice(0, i).some((f) => f[0] === side && f[1] === text));
}
