package web_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/daemon"
	"farshore/providers/servers"
)

var screenshots = flag.String("screenshots", "", "write pictures of the samples' pages to this `directory`, for a look at them")

// measure says what of a page is wider than the window, but for what scrolls in a box of its own.
const measure = `(() => {
	const w = document.documentElement.clientWidth, wide = [];
	for (const d of document.querySelectorAll("details")) d.open = true;
	for (const e of document.body.querySelectorAll("*")) {
		if (e.closest("thead, .quiet, .skip, .signs, template") || e.parentElement.closest(".scroll, .copy, svg, .strips li > a")) continue;
		const r = e.getBoundingClientRect();
		if (r.width > 0 && (r.right > w + 1 || r.left < -1)) wide.push(e.tagName + "." + e.getAttribute("class") + " " + Math.round(r.left) + "-" + Math.round(r.right) + " " + e.textContent.slice(0, 40));
	}
	return {width: w, scroll: document.documentElement.scrollWidth, wide: wide.slice(0, 5), paper: getComputedStyle(document.body).backgroundColor, text: document.body.innerText.length};
})()`

type measured struct {
	Width, Scroll, Text int
	Wide                []string
	Paper               string
}

// papers are the backgrounds of the themes, as a browser writes them.
var papers = map[string]string{"light": "rgb(246, 245, 241)", "dark": "rgb(15, 21, 23)"}

// TestBrowser shows the pages in Chromium, in both themes, on a phone and on a desk: nothing is wider than the window, nothing is complained of, nothing is asked of anybody else, and
// axe finds no serious barrier.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	b := chromium(t)
	axe := axeSource(t)
	for _, s := range samples() {
		server := httptest.NewServer(s.handler(t))
		defer server.Close()
		for name, path := range shownPaths(s) {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				p := b.tab(t)
				p.open(server.URL + path)
				for _, theme := range []string{"light", "dark"} {
					for _, width := range []int{320, 390, 1280} {
						p.window(width, theme)
						if *screenshots != "" {
							keep(t, p, fmt.Sprintf("%s-%s-%s-%d", s.name, name, theme, width))
						}
						check(t, p, theme, width)
						if width != 390 && name != "report" { // no script runs in a report
							barriers(t, p, axe, fmt.Sprintf("%s at %d", theme, width))
						}
						p.eval(`(() => { for (const d of document.querySelectorAll("details")) d.open = false; })()`, nil)
					}
				}
				silent(t, p, server.URL, name == "missing")
			})
		}
	}
}

// shownPaths are the pages of a sample that are worth a look, by what they are.
func shownPaths(s *sample) map[string]string {
	switch s.name {
	case "well", "broken":
		return map[string]string{"overview": "/", "source": "/source/" + first(s), "reports": "/reports", "heads": "/heads", "missing": "/nothing", "report": "/report/" + hashOf("a1")}
	case "hostile":
		return map[string]string{"overview": "/", "source": "/source/%20", "reports": "/reports", "heads": "/heads"}
	}
	return map[string]string{"overview": "/"}
}

// keep writes pictures of a page.
func keep(t *testing.T, p *tab, name string) {
	t.Helper()
	for i, data := range p.shots() {
		if err := os.WriteFile(filepath.Join(*screenshots, fmt.Sprintf("%s-%d.png", name, i)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func first(s *sample) string {
	if len(s.status.Sources) == 0 {
		return "none"
	}
	return s.status.Sources[0].Name
}

// check holds a page to the window and to the theme.
func check(t *testing.T, p *tab, theme string, width int) {
	t.Helper()
	var m measured
	p.eval(measure, &m)
	if m.Width != width || m.Scroll > m.Width || len(m.Wide) > 0 {
		t.Errorf("%s: a page of %d in a window of %d, of %d; too wide: %q", theme, m.Scroll, m.Width, width, m.Wide)
	}
	if m.Paper != papers[theme] || m.Text < 20 {
		t.Errorf("%s: the background is %s, and should be %s; the text has %d characters", theme, m.Paper, papers[theme], m.Text)
	}
}

// silent holds a page to ask nothing of anybody else, and the browser to have nothing to complain of.
func silent(t *testing.T, p *tab, origin string, missing bool) {
	t.Helper()
	for _, url := range p.requests() {
		if !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "data:,") {
			t.Errorf("the page asked for %s", url)
		}
	}
	for _, said := range p.complaints() {
		if !missing || !strings.Contains(said, "404") {
			t.Errorf("the browser says: %.1500s", said)
		}
	}
}

// axeSource is axe-core, or "" where it is not here and need not be.
func axeSource(t *testing.T) string {
	t.Helper()
	path := os.Getenv("FARSHORE_TEST_AXE")
	if path == "" {
		if os.Getenv("FARSHORE_TEST_REQUIRE") == "all" {
			servers.Missing(t, "axe-core", "npm install axe-core, and FARSHORE_TEST_AXE=node_modules/axe-core/axe.min.js")
		}
		t.Log("barriers are not looked for: npm install axe-core, and FARSHORE_TEST_AXE=node_modules/axe-core/axe.min.js")
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// barriers looks for what keeps people with a keyboard, a reader or little sight out.
func barriers(t *testing.T, p *tab, axe, where string) {
	t.Helper()
	if axe == "" {
		return
	}
	var there bool
	if p.eval(`typeof axe === "object"`, &there); !there {
		p.eval(axe+";0", nil)
	}
	var list []violation
	p.eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations)`, &list)
	for _, v := range list {
		text := fmt.Sprintf("%s: %s (%s): %s: %.300s %.300s", where, v.ID, v.Impact, v.Help, v.Nodes[0].HTML, v.Nodes[0].Summary)
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Error(text)
		} else {
			t.Log(text)
		}
	}
}

// TestLive lets the script keep the page up to date while the daemon's state changes, ends and comes back: what it writes is what the server would, without any markup of a stranger's.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	var now atomic.Pointer[http.Handler]
	show := func(h http.Handler) { now.Store(&h) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*now.Load()).ServeHTTP(w, r) }))
	defer server.Close()
	show(runningSample().handler(t))
	p := chromium(t).tab(t)
	p.open(server.URL + "/")
	p.eval(`document.getElementById("chart-stored-title").textContent`, nil) // it is drawn
	for _, s := range []*sample{brokenSample(), hostileSample(), wellSample()} {
		s.status.Sources[0].Running = &daemon.RunningStatus{Since: noon, Moved: noon} // so that the script asks often
		fresh := s.handler(t)
		show(fresh)
		// The page is as it should be once what it shows of the daemon is, letter by letter, what a page made anew shows.
		other := p.b.tab(t)
		other.open(server.URL + "/")
		var want, got string
		other.eval(shownText, &want)
		p.do("Page.bringToFront", map[string]any{}, nil) // behind another page it rests
		p.eval(fmt.Sprintf(`new Promise((done) => {
			const want = %q, read = () => %s, began = Date.now();
			const look = () => { const got = read(); if (got === want || Date.now() - began > 30000) done(got); else setTimeout(look, 100); };
			look();
		})`, want, shownText), &got)
		if got != want {
			t.Errorf("%s: what the page shows:\n%s", s.name, differs([]byte(got), []byte(want)))
		}
		var hidden bool
		if p.eval(`document.getElementById("changed").hidden`, &hidden); hidden != (s.name == "well") { // whose history is that of the sample at first
			t.Errorf("%s: that the charts are old has hidden=%v", s.name, hidden)
		}
	}
	if list := p.complaints(); len(list) > 0 {
		t.Errorf("the browser says: %.2000q", list)
	}
	show(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	waitFor := func(hidden string) {
		t.Helper()
		var ok bool
		p.eval(`new Promise((done) => {
			const bar = document.getElementById("stale"), began = Date.now();
			const look = () => { if (bar.hidden === `+hidden+`) done(true); else if (Date.now() - began > 30000) done(false); else setTimeout(look, 100); };
			look();
		})`, &ok)
		if !ok {
			t.Errorf("the bar that says that the page is old should have hidden=%s", hidden)
		}
	}
	waitFor("false")
	show(wellSample().handler(t))
	waitFor("true")
}

// shownText is what the page shows of the daemon, line by line, with the attributes that mean something; what is hidden shows nothing.
const shownText = `[...document.querySelectorAll("#glance, .cards, #attention, [data-of=source-row], [data-of=check-row]")].map((e) =>
	e.innerText.replace(/[ \t]+/g, " ").trim() + "\n" + [...e.querySelectorAll("[data-bar] .value, use, a, [data-tone]")].filter((x) => !x.closest(".off, [hidden]")).map((x) =>
		[Number(x.getAttribute("width")), x.getAttribute("href"), [...x.classList].sort().join(" ")].join("|")).join("\n")).join("\n")`
