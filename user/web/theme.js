// SPDX-License-Identifier: GPL-2.0-only
// Before anything is drawn: light, dark, or (without a choice) as the system is. Not a module, so
// that it runs at once.
(function () {
	"use strict";
	const order = ["auto", "light", "dark"];
	let chosen = "auto";

	try {
		chosen = localStorage.getItem("synstile-theme") || "auto";
	} catch {
		// no storage: the system's
	}
	if (!order.includes(chosen))
		chosen = "auto";

	function apply() {
		if (chosen === "auto")
			delete document.documentElement.dataset.theme;
		else
			document.documentElement.dataset.theme = chosen;
	}

	function set(name) {
		chosen = name;
		try {
			localStorage.setItem("synstile-theme", name);
		} catch {
			// for this time only
		}
		apply();
		document.dispatchEvent(new Event("themechange"));
	}

	apply();
	document.addEventListener("DOMContentLoaded", () => {
		const button = document.getElementById("theme");
		const show = () => {
			button.textContent = "Theme: " + chosen;
		};

		show();
		button.addEventListener("click", () => {
			set(order[(order.indexOf(chosen) + 1) % order.length]);
			show();
		});
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
		document.dispatchEvent(new Event("themechange"));
	});
})();
