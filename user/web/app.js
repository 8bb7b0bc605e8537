// SPDX-License-Identifier: GPL-2.0-only
import {byId, setHidden, setText} from "./dom.js";
import {parseTime} from "./format.js";
import {Charts} from "./charts.js";
import {Connections, Flow} from "./conns.js";
import {Live} from "./live.js";
import * as views from "./views.js";

const LIVE = "/v1/live?services=200&half_open=200";

const flow = new Flow();
const charts = new Charts(byId("charts"), byId("spans"));
const tables = {
	services: views.servicesTable(),
	half: views.halfOpenTable((c) => c.flow_id && flow.open(c)),
	sources: views.sourcesTable(),
	verdicts: views.verdictsTable(),
};
const filter = byId("half-filter");
let newest = null;

function show(frame) {
	views.showBanner(frame);
	if (document.hidden)
		return; // all of it when somebody looks again
	views.showFacts(frame);
	views.showTiles(frame);
	views.showServices(tables.services, frame);
	views.showHalfOpen(tables.half, frame, filter.value);
	views.showSources(tables.sources, frame);
	views.showVerdicts(tables.verdicts, frame);
	charts.draw();
}

function link(state, words) {
	byId("link").dataset.state = state;
	setText(byId("link"), words);
}

new Live(LIVE, {
	frame(frame) {
		newest = frame;
		charts.take(frame, parseTime(frame.timestamp) / 1000);
		show(frame);
	},
	up() {
		link("up", "live");
		setHidden(byId("lost"), true);
		document.body.classList.remove("stale");
		charts.remember().catch(() => {}); // the charts then begin now
	},
	down(reason) {
		link("down", "not connected");
		setText(byId("lost"), "Connection lost" + (reason ? `: ${reason}. ` : ", trying again. ") +
			(newest ? "What is shown is old." : ""));
		setHidden(byId("lost"), false);
		views.showUnknown(newest);
		document.body.classList.add("stale");
	},
});

filter.addEventListener("input", () => newest && views.showHalfOpen(tables.half, newest, filter.value));
document.addEventListener("visibilitychange", () => newest && show(newest));
new Connections((c) => flow.open(c));
