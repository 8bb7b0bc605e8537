// SPDX-License-Identifier: GPL-2.0-only
// Numbers and times as `synstile top` writes them; unknown is a dash.

export const UNKNOWN = "–";

// 0, 999, 1.23k, 12.3k, 123k, 1.23M
export function number(n) {
	if (n === null || n === undefined)
		return UNKNOWN;
	if (n < 1000)
		return String(Math.round(n));
	for (const unit of ["k", "M", "G", "T"]) {
		n /= 1000;
		if (n < 999.5)
			return n.toFixed(n < 9.995 ? 2 : n < 99.95 ? 1 : 0) + unit;
	}
	return n.toFixed(0) + "T";
}

export function rate(n) {
	return n === null || n === undefined ? UNKNOWN : number(n) + "/s";
}

export function exact(n) {
	return n === null || n === undefined ? "unknown" : n.toLocaleString("en");
}

// 800 ms, 3.2 s, 63 s, 5 min 3 s, 2 h 5 min, 3 d 4 h
export function duration(ms) {
	if (ms === null || ms === undefined)
		return UNKNOWN;
	if (ms < 1000)
		return Math.round(ms) + " ms";
	const s = Math.floor(ms / 1000);

	if (s < 10)
		return (Math.floor(ms / 100) / 10).toFixed(1) + " s";
	if (s < 120)
		return s + " s";
	if (s < 7200)
		return pair(s, 60, "min", 1, "s");
	if (s < 172800)
		return pair(s, 3600, "h", 60, "min");
	return pair(s, 86400, "d", 3600, "h");
}

function pair(s, large, large_name, small, small_name) {
	const rest = Math.floor((s % large) / small);

	return Math.floor(s / large) + " " + large_name + (rest ? ` ${rest} ${small_name}` : "");
}

// Whole seconds: for what is shown every second.
export function seconds(ms) {
	return ms === null || ms === undefined ? UNKNOWN : ms < 10000 ? Math.floor(ms / 1000) + " s"
		: duration(ms);
}

export function bytes(n) {
	return n === null || n === undefined ? UNKNOWN : number(n) + (n < 1000 ? " B" : "B");
}

// Of "2026-11-22T20:35:18.749998+0000": not every browser reads the zone without a colon.
export function parseTime(text) {
	return text ? Date.parse(text.replace(/(\.\d{3})\d*/, "$1").replace(/([+-]\d\d)(\d\d)$/, "$1:$2"))
		: NaN;
}

export function clock(ms, fraction = 0) {
	if (!Number.isFinite(ms))
		return UNKNOWN;
	const options = {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false};

	if (fraction)
		options.fractionalSecondDigits = fraction;
	return new Date(ms).toLocaleTimeString("en-GB", options);
}

// An address and port, IPv6 in brackets.
export function end(address, port) {
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

// One that no policy names is named by its port.
export function service(name) {
	return /^\d+$/.test(name) ? "port " + name : name;
}
