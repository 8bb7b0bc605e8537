// SPDX-License-Identifier: GPL-2.0-only
// The last 15 minutes, second by second: first what the agent remembers, then frame by frame.

import uPlot from "/assets/vendor/uPlot.esm.js";
import {h, setText} from "./dom.js";
import {number, clock} from "./format.js";
import {getJSON} from "./live.js";

const KEPT_S = 900;
const COLUMNS = ["t", "syns", "cookies", "validated", "half_open", "kernel_half_open", "attacked"];
const CHARTS = [
	{title: "New SYNs", unit: "/s", lines: [{column: "syns", name: "SYNs", color: "--c1", fill: true}]},
	{title: "Cookies", unit: "/s",
	 lines: [{column: "cookies", name: "answered", color: "--c2", fill: true},
		 {column: "validated", name: "proven", color: "--c3"}]},
	{title: "Half-open", unit: "",
	 lines: [{column: "half_open", name: "synstile", color: "--c4", fill: true},
		 {column: "kernel_half_open", name: "kernel", color: "--c5", dash: [5, 4]}]},
];
const SPANS = [[60, "1 min"], [300, "5 min"], [900, "15 min"]];

function css(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Seconds that nobody looked at are gaps, not straight lines.
class Series {
	constructor() {
		this.data = Object.fromEntries(COLUMNS.map((c) => [c, []]));
	}

	get last() {
		return this.data.t.at(-1) ?? 0;
	}

	push(row) {
		if (row.t <= this.last)
			return;
		if (this.last && row.t - this.last > 2.5)
			this.add({t: this.last + 1});
		this.add(row);
		while (this.data.t[0] < row.t - KEPT_S)
			for (const c of COLUMNS)
				this.data[c].shift();
	}

	add(row) {
		for (const c of COLUMNS)
			this.data[c].push(row[c] ?? null);
	}
}

export class Charts {
	constructor(place, spans) {
		this.series = new Series();
		this.span = 300;
		this.figures = CHARTS.map((chart) => this.figure(chart));
		place.replaceChildren(...this.figures.map((f) => f.figure));
		this.choices(spans);
		this.build();
		document.addEventListener("themechange", () => this.build());
		new ResizeObserver(() => this.resize()).observe(place);
	}

	figure(chart) {
		const plot = h("div", {class: "plot", "aria-hidden": "true"});
		const text = h("span", {class: "unseen"});
		const now = chart.lines.map((line) => {
			const value = h("b", {}, "–");

			return {line, value, item: h("li", {"data-color": line.color.slice(2)},
				h("span", {class: "key", "aria-hidden": "true"}), line.name + " ", value)};
		});
		const figure = h("figure", {class: "chart", role: "group", "aria-label": chart.title},
			h("figcaption", {}, h("span", {class: "chart-title"}, chart.title),
			  h("ul", {class: "legend"}, ...now.map((n) => n.item)), text), plot);

		return {chart, figure, plot, text, now, u: null};
	}

	choices(place) {
		for (const [span, name] of SPANS) {
			const input = h("input", {type: "radio", name: "span", value: span, checked: span === this.span});

			input.addEventListener("change", () => {
				this.span = span;
				this.draw();
			});
			place.append(h("label", {}, input, h("span", {}, name)));
		}
	}

	// While a service was under attack the ground is tinted.
	attackBands(u) {
		const {t, attacked} = this.series.data, ctx = u.ctx, {left, top, width, height} = u.bbox;

		ctx.save();
		ctx.fillStyle = css("--band");
		for (let i = 0; i < t.length; i++) {
			if (!attacked[i] || t[i] < u.scales.x.min)
				continue;
			const x = Math.max(left, u.valToPos(t[i] - 0.5, "x", true));
			const w = Math.min(left + width, u.valToPos(t[i] + 0.5, "x", true)) - x;

			if (w > 0)
				ctx.fillRect(x, top, w + 0.5, height);
		}
		ctx.restore();
	}

	options(f) {
		const grid = {stroke: css("--grid"), width: 1}, stroke = css("--dim");
		const font = "11px " + css("--font");
		const line = (l) => ({label: l.name, stroke: css(l.color), width: 1.75, dash: l.dash,
			fill: l.fill ? css(l.color + "-soft") : undefined, points: {show: false}, spanGaps: false});

		return {
			width: Math.max(120, f.plot.clientWidth), height: 170,
			padding: [8, 6, 0, 0], legend: {show: false},
			cursor: {drag: {x: false, y: false}, points: {size: 7}},
			scales: {x: {time: true}, y: {range: (u, min, max) => [0, Math.max(4, (max || 0) * 1.08)]}},
			axes: [{stroke, font, grid, ticks: grid, size: 26, space: 70,
				values: (u, at) => at.map((t) => clock(t * 1000).slice(0, this.span > 300 ? 5 : 8))},
			       {stroke, font, grid, ticks: {show: false}, size: 46, space: 36,
				values: (u, at) => at.map((n) => (n % 1 ? "" : number(n)))}],
			series: [{}, ...f.chart.lines.map(line)],
			hooks: {drawClear: [(u) => this.attackBands(u)],
				setCursor: [(u) => this.read(f, u.cursor.idx)]},
		};
	}

	build() {
		for (const f of this.figures) {
			f.u?.destroy();
			f.u = new uPlot(this.options(f), this.columns(f), f.plot);
		}
		this.draw();
	}

	resize() {
		for (const f of this.figures)
			f.u.setSize({width: Math.max(120, f.plot.clientWidth), height: 170});
	}

	columns(f) {
		const {data} = this.series;

		return [data.t, ...f.chart.lines.map((l) => data[l.column])];
	}

	// The values at a point, or the newest.
	read(f, index) {
		for (const n of f.now) {
			const column = this.series.data[n.line.column];
			const value = index === null || index === undefined ? column.at(-1) : column[index];

			setText(n.value, number(value) + (value === null || value === undefined ? "" : f.chart.unit));
		}
	}

	summary(f) {
		const from = this.series.last - this.span, {t} = this.series.data;
		const parts = f.chart.lines.map((l) => {
			const shown = this.series.data[l.column].filter((v, i) => v !== null && t[i] >= from);

			return shown.length ? `${l.name}: now ${number(shown.at(-1))}${f.chart.unit}, at most ` +
				`${number(shown.reduce((a, b) => Math.max(a, b), 0))}${f.chart.unit}` : `${l.name}: nothing yet`;
		});

		return `${f.chart.title}, last ${this.span / 60} min. ${parts.join("; ")}.`;
	}

	draw() {
		const last = this.series.last || Date.now() / 1000, first = this.series.data.t[0] ?? last;
		// what is not known yet takes no room, but for a minute
		const min = Math.max(last - this.span, Math.min(first, last - 60));

		for (const f of this.figures) {
			f.u.batch(() => {
				f.u.setData(this.columns(f), false);
				f.u.setScale("x", {min, max: last});
			});
			this.read(f, f.u.cursor.left >= 0 ? f.u.cursor.idx : null);
			setText(f.text, this.summary(f));
		}
		document.documentElement.dataset.points = this.series.data.t.length;
	}

	take(frame, t) {
		const n = frame.totals;
		const row = {t, syns: n.syn_rate, cookies: n.cookie_rate, validated: n.validated_rate,
			half_open: n.half_open, kernel_half_open: n.kernel_half_open,
			attacked: frame.attacked.length};

		if (this.waiting)
			this.waiting.push(row);
		else
			this.series.push(row);
	}

	// What was before the page was opened, or while it could not hear. Frames wait meanwhile.
	async remember() {
		const since = this.series.last ? `?since=${Math.round(this.series.last * 1000)}` : "";

		this.waiting ??= [];
		try {
			const past = await getJSON("/v1/history" + since);

			for (const row of past.rows)
				this.series.push(Object.fromEntries(past.columns.map((c, i) =>
					[c, c === "t" ? row[i] / 1000 : row[i]])));
		} finally {
			for (const row of this.waiting || [])
				if (row.t - this.series.last > 0.5)
					this.series.push(row);
			this.waiting = null;
			this.draw();
		}
	}
}
