// SPDX-License-Identifier: GPL-2.0-only
// A table whose rows come anew each second. Rows are kept by key, so that focus, selection and
// scrolling stay where they are.

import {h, setText, setBar} from "./dom.js";

// columns: {id, title, of(row) for sorting, text(row), bar(row)?: 0 to 1, level(row)?, number?,
//           desc?: true if the largest come first, head?: header of the row, title_of?(row)}
// options: {caption, key(row), onSelect?(row), sort?: id, label?(row)}
export class Table {
	constructor(place, columns, options) {
		this.columns = columns;
		this.options = options;
		this.rows = new Map();
		this.sort = options.sort ? {id: options.sort, desc: this.column(options.sort).desc} : null;
		this.body = h("tbody");
		this.heads = columns.map((c) => this.head(c));
		this.table = h("table", {}, h("caption", {class: "unseen"}, options.caption),
			h("thead", {}, h("tr", {}, ...this.heads)), this.body);
		if (options.onSelect)
			this.selectable();
		place.replaceChildren(this.table);
		this.mark();
	}

	column(id) {
		return this.columns.find((c) => c.id === id);
	}

	head(c) {
		const button = h("button", {type: "button", class: "sort"}, c.title);

		if (!this.options.sort)
			return h("th", {scope: "col", class: c.number ? "num" : null}, c.title);
		button.addEventListener("click", () => {
			const same = this.sort.id === c.id;

			this.sort = {id: c.id, desc: same ? !this.sort.desc : !!c.desc};
			this.mark();
			this.show(this.data || []);
		});
		return h("th", {scope: "col", class: c.number ? "num" : null}, button);
	}

	mark() {
		this.columns.forEach((c, i) => {
			if (this.sort?.id === c.id)
				this.heads[i].setAttribute("aria-sort", this.sort.desc ? "descending" : "ascending");
			else
				this.heads[i].removeAttribute("aria-sort");
		});
	}

	selectable() {
		const select = (event) => {
			const tr = event.target.closest("tbody tr");
			const row = tr && this.rows.get(tr.dataset.key)?.data;

			if (row)
				this.options.onSelect(row, tr);
		};

		this.table.classList.add("selectable");
		this.body.addEventListener("click", select);
		this.body.addEventListener("keydown", (event) => {
			const tr = event.target.closest("tbody tr");
			const next = {ArrowDown: tr?.nextElementSibling, ArrowUp: tr?.previousElementSibling};

			if (event.key === "Enter" || event.key === " ") {
				event.preventDefault();
				select(event);
			} else if (next[event.key]) {
				event.preventDefault();
				next[event.key].focus();
			}
		});
	}

	cell(c) {
		const td = h(c.head ? "th" : "td", {scope: c.head ? "row" : null, class: c.number ? "num" : null});
		const text = h("span", {class: "cell-text"});
		let fill = null;

		if (c.bar) {
			fill = h("span", {class: "fill"});
			td.append(text, h("span", {class: "track", "aria-hidden": "true"}, fill));
		} else {
			td.append(text);
		}
		return {td, text, fill};
	}

	make(key) {
		const cells = this.columns.map((c) => this.cell(c));
		const tr = h("tr", {tabindex: this.options.onSelect ? "0" : null}, ...cells.map((c) => c.td));

		tr.dataset.key = key;
		return {tr, cells, data: null};
	}

	update(row, data) {
		row.data = data;
		this.columns.forEach((c, i) => {
			const cell = row.cells[i], level = c.level ? c.level(data) : null;

			setText(cell.text, c.text(data));
			if (cell.fill)
				setBar(cell.fill, c.bar(data));
			if (c.level && cell.td.dataset.level !== level)
				cell.td.dataset.level = level;
			if (c.title_of && cell.td.title !== c.title_of(data))
				cell.td.title = c.title_of(data);
		});
		if (this.options.label)
			row.tr.setAttribute("aria-label", this.options.label(data));
	}

	sorted(data) {
		if (!this.sort)
			return data;
		const of = this.column(this.sort.id).of, way = this.sort.desc ? -1 : 1;

		return data.slice().sort((a, b) => {
			const x = of(a), y = of(b);

			if (x === y)
				return 0;
			if (x === null || x === undefined)
				return 1;
			return (typeof x === "string" ? x.localeCompare(y, "en", {numeric: true}) : x - y) * way;
		});
	}

	show(data) {
		const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
		const there = new Set();
		let at = this.body.firstElementChild;

		this.data = data;
		for (const item of this.sorted(data)) {
			const key = String(this.options.key(item));

			if (there.has(key))
				continue;
			there.add(key);
			if (!this.rows.has(key))
				this.rows.set(key, this.make(key));
			const row = this.rows.get(key);

			this.update(row, item);
			if (row.tr === at)
				at = at.nextElementSibling;
			else
				this.body.insertBefore(row.tr, at);
		}
		for (const [key, row] of this.rows)
			if (!there.has(key)) {
				row.tr.remove();
				this.rows.delete(key);
			}
		if (focused && focused.isConnected && document.activeElement !== focused)
			focused.focus({preventScroll: true}); // moving an element takes it away
	}

	get size() {
		return this.rows.size;
	}
}
