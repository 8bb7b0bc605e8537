// SPDX-License-Identifier: GPL-2.0-only
// The agent's frames, one a second, for as long as the page is open: what ends is begun again.

const RETRY_MS = 2000;
const SILENT_MS = 4500; // without a frame: something is wrong, even if nobody says so

export async function getJSON(path, signal) {
	const answer = await fetch(path, {signal, headers: {Accept: "application/json"}});
	const body = await answer.json().catch(() => null);

	if (answer.ok && body)
		return body;
	throw new Error(body?.error ? body.error + (body.hint ? ": " + body.hint : "")
		: `the answer is ${answer.status}`);
}

export class Live {
	// on: {frame(frame), up(), down(reason)}
	constructor(path, on) {
		this.path = path;
		this.on = on;
		this.source = null;
		this.up = null;
		this.open();
	}

	open() {
		this.source?.close();
		this.heard();
		this.source = new EventSource(this.path);
		this.source.addEventListener("frame", (event) => this.take(event));
		this.source.addEventListener("error", () => this.lost());
	}

	heard() {
		clearTimeout(this.watchdog);
		this.watchdog = setTimeout(() => this.lost(), SILENT_MS);
	}

	take(event) {
		let frame;

		this.heard();
		try {
			frame = JSON.parse(event.data);
		} catch {
			return; // cut off in the middle: the next one is whole
		}
		if (this.up !== true) {
			this.up = true;
			this.on.up();
		}
		this.on.frame(frame);
	}

	// The browser tries again by itself only if there was an answer at all.
	lost() {
		clearTimeout(this.watchdog);
		clearTimeout(this.again);
		this.source.close();
		this.again = setTimeout(() => this.open(), RETRY_MS);
		if (this.up !== false) {
			this.up = false;
			this.on.down("");
		}
		this.ask();
	}

	// Why? An EventSource does not tell.
	async ask() {
		let reason = "";

		try {
			await getJSON("/v1/live?follow=0&services=1&half_open=1");
		} catch (error) {
			reason = error instanceof TypeError ? "`synstile web` does not answer; is it still running?"
				: error.message;
		}
		if (this.up === false && reason)
			this.on.down(reason);
	}
}
