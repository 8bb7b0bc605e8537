// SPDX-License-Identifier: GPL-2.0-only
// Elements from data: only as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
	return document.getElementById(id);
}

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {}))
		if (value !== undefined && value !== null && value !== false)
			element.setAttribute(name, value === true ? "" : value);
	element.append(...children.filter((c) => c !== null && c !== undefined));
	return element;
}

export function h(tag, attributes, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
	return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Only what differs is touched: screen readers and layout stay quiet.
export function setText(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

export function setHidden(element, hidden) {
	if (element.hidden !== hidden)
		element.hidden = hidden;
}

// A bar as wide as `part` (0 to 1) of its place.
export function setBar(element, part) {
	const percent = Math.round(Math.min(1, Math.max(0, part)) * 1000) / 10 + "%";

	if (element.style.width !== percent)
		element.style.width = percent;
}

export function reducedMotion() {
	return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
