// SPDX-License-Identifier: GPL-2.0-only
// drive.mjs TOOLS CHROMIUM
//
// A browser at the end of two pipes: reads orders as JSON lines, answers each with one. What tests
// want from it is said in tests/net/test_web.py. TOOLS: where node_modules/ with playwright-core is.
import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const [tools, chromium_path] = process.argv.slice(2);
const {chromium} = createRequire(tools + "/")("playwright-core");
const browser = await chromium.launch({
	executablePath: chromium_path,
	// root has no sandbox; the rest is for machines with little /dev/shm, and without a GPU
	args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"],
});
let page = null, troubles = [], requests = [];

function watch(target) {
	target.on("console", (m) => ["error", "warning"].includes(m.type()) && troubles.push(`console: ${m.text()}`));
	target.on("pageerror", (e) => troubles.push(`script: ${e.stack}`));
	target.on("request", (r) => requests.push(r.url()));
	// streams that the page ends itself, and polls that it takes back, are none
	target.on("requestfailed", (r) => r.failure()?.errorText !== "net::ERR_ABORTED" &&
		troubles.push(`failed: ${r.url()} ${r.failure()?.errorText}`));
	target.on("response", (r) => r.status() >= 400 && troubles.push(`status ${r.status()}: ${r.url()}`));
}

const orders = {
	async open({url, width = 1280, height = 900}) {
		const context = await browser.newContext({viewport: {width, height}, colorScheme: "light"});

		page = await context.newPage();
		watch(page);
		await page.goto(url);
	},
	eval: ({code, arg}) => page.evaluate(`(${code})(${JSON.stringify(arg ?? null)})`),
	// Not waitForFunction(): it evaluates text inside the page, which our Content-Security-Policy
	// forbids.
	async wait({code, arg, ms = 5000}) {
		const until = Date.now() + ms;

		for (;;) {
			const found = await orders.eval({code, arg}).catch((error) => {
				if (!/context was destroyed/.test(error)) // it is being loaded anew
					throw error;
			});

			if (found)
				return found;
			if (Date.now() > until)
				throw new Error(`not within ${ms} ms`);
			await page.waitForTimeout(50);
		}
	},
	press: ({key}) => page.keyboard.press(key),
	fill: ({at, text}) => page.fill(at, text),
	click: ({at}) => page.click(at, {timeout: 15000}),
	focus: ({at}) => page.focus(at, {timeout: 15000}),
	shot: ({path, full = true}) => page.screenshot({path, fullPage: full}).then(() => null),
	scheme: ({scheme}) => page.emulateMedia({colorScheme: scheme}),
	size: (size) => page.setViewportSize(size),
	heard: () => {
		const all = {troubles, requests};

		troubles = [];
		requests = [];
		return all;
	},
};

for await (const line of createInterface({input: process.stdin})) {
	const {order, ...rest} = JSON.parse(line);
	let answer;

	try {
		answer = {result: (await orders[order](rest)) ?? null};
	} catch (error) {
		answer = {error: String(error)};
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
