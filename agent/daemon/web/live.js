// Keeps the first page up to date: asks for /live.json, and writes texts and attributes into what the server made. No markup ever comes from an answer.
"use strict";
(() => {
	const box = document.getElementById("live");
	if (!box) return;
	const busyEach = 2000, idleEach = 10000, mostWait = 60000, patience = 8000;
	const tones = ["muted", "good", "warn", "bad", "tamper"];
	const byId = (id) => document.getElementById(id);
	const made = box.dataset.version;
	let busy = box.dataset.busy === "true", wait = 0, timer = 0, asking = null, said = "", heard = new Date();

	const put = (el, text) => { if (el.textContent !== text) el.textContent = text; };
	const set = (el, name, value) => { if (el.getAttribute(name) !== value) el.setAttribute(name, value); };
	const word = (value) => value === null || value === undefined ? "" : String(value);

	// Text between backticks is a command.
	function rich(el, text) {
		if (el.textContent === text.replaceAll("`", "")) return;
		el.replaceChildren(...text.split("`").map((part, i) => {
			if (i % 2 === 0) return document.createTextNode(part);
			const code = document.createElement("code");
			code.textContent = part;
			return code;
		}));
	}

	function one(el, data) {
		const d = el.dataset, of = (key) => key === "." ? data : data[key];
		if ("t" in d && (d.t === "." || d.t in data)) {
			put(el, word(of(d.t)));
			if (!("href" in d)) el.classList.toggle("off", !of(d.t));
		}
		if ("rich" in d && (d.rich === "." || d.rich in data)) {
			rich(el, word(of(d.rich)));
			if (d.rich !== ".") el.classList.toggle("off", !of(d.rich));
		}
		if ("bar" in d && d.bar in data) {
			const n = Number(of(d.bar));
			el.classList.toggle("off", !(n >= 0));
			set(el.querySelector(".value"), "width", String(Math.max(0, Math.min(100, n || 0))));
		}
		if ("href" in d) {
			const to = word(of(d.href));
			if (to.startsWith("/") && !to.startsWith("//")) set(el, "href", to);
			(el.parentElement.classList.contains("go") ? el.parentElement : el).classList.toggle("off", !to && d.t !== "name");
		}
		if ("tone" in d && tones.includes(data.tone)) {
			for (const t of tones) el.classList.toggle("t-" + t, t === data.tone);
		}
		if ("sign" in d && tones.includes(data.tone)) set(el, "href", "#g-" + data.tone);
	}

	// Writes data into an element and what is in it; a list is filled with its own.
	function fill(el, data) {
		if (el.dataset) one(el, data);
		if (el.dataset && "list" in el.dataset) {
			if (el.dataset.list in data) list(el, data[el.dataset.list] || []);
			return;
		}
		for (const child of el.children) if (child.localName !== "template") fill(child, data);
	}

	// Rows stay in their places, so that what a reader looks at or has focused does not move while the list is the same.
	function list(el, rows) {
		const form = byId("of-" + el.dataset.of);
		while (el.children.length > rows.length) el.lastElementChild.remove();
		rows.forEach((data, i) => {
			if (!el.children[i]) el.append(form.content.firstElementChild.cloneNode(true));
			fill(el.children[i], data);
		});
	}

	function show(data) {
		for (const id of ["glance", "numbers", "attention", "sources", "checks"]) {
			const el = byId(id);
			if (el) fill(id === "glance" || id === "attention" ? el : el.parentElement, data);
		}
		for (const el of document.querySelectorAll("footer [data-t]")) one(el, data);
		byId("attention").hidden = !(data.acts || []).length;
		byId("changed").hidden = data.version === made;
		byId("stale").hidden = true;
		document.title = data.word + " · farshore";
		// Only a new verdict is read out.
		if (said && said !== data.word) put(byId("say"), data.word);
		said = data.word;
		busy = data.busy === true;
	}

	async function ask() {
		timer = 0;
		asking = new AbortController();
		const late = setTimeout(() => asking && asking.abort(), patience);
		try {
			const answer = await fetch("/live.json", { signal: asking.signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
			if (!answer.ok) throw new Error(String(answer.status));
			show(await answer.json());
			heard = new Date();
			wait = 0;
		} catch {
			if (document.hidden) return;
			wait = Math.min(mostWait, wait ? wait * 2 : busyEach);
			const stale = byId("stale");
			put(stale.querySelector("[data-since]"), heard.toLocaleTimeString());
			if (stale.hidden && wait > busyEach) {
				stale.hidden = false;
				put(byId("say"), "The daemon does not answer.");
				said = "?";
			}
		} finally {
			clearTimeout(late);
			asking = null;
			next();
		}
	}

	function next() {
		if (document.hidden || timer || asking) return;
		timer = setTimeout(ask, wait || (busy ? busyEach : idleEach));
	}

	document.addEventListener("visibilitychange", () => {
		clearTimeout(timer);
		timer = 0;
		if (document.hidden) {
			if (asking) asking.abort();
		} else if (!asking) {
			ask();
		}
	});
	said = byId("verdict").textContent.trim();
	next();
})();
