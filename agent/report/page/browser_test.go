package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/providers/servers"
)

// probe is the page that shows each of the samples at each width in a frame, and measures it. It runs in the browser of the test; the pages themselves have no script.
const probe = `<!doctype html><link rel="icon" href="data:,"><body><pre id="out"></pre><script>
const out = [], jobs = %s;
function measure(f, j) {
	const d = f.contentDocument, w = d.documentElement.clientWidth, wide = [];
	for (const e of d.body.querySelectorAll("*")) {
		if (e.closest("thead, .quiet")) continue;
		const r = e.getBoundingClientRect();
		if (r.width > 0 && (r.right > w + 1 || r.left < -1)) wide.push(e.tagName + "." + e.getAttribute("class") + " " + Math.round(r.left) + "-" + Math.round(r.right) + " " + e.textContent.slice(0, 40));
	}
	return {name: j.name, width: j.width, got: w, scroll: d.documentElement.scrollWidth, wide: wide.slice(0, 5), paper: f.contentWindow.getComputedStyle(d.body).backgroundColor, height: d.documentElement.scrollHeight};
}
function next() {
	const j = jobs.shift();
	if (!j) { document.getElementById("out").textContent = JSON.stringify(out); return; }
	const f = document.createElement("iframe");
	f.style.cssText = "border:0;height:700px;width:" + j.width + "px";
	f.src = "/" + j.name;
	f.onload = () => {
		for (const d of f.contentDocument.querySelectorAll("details")) d.open = true;
		out.push(measure(f, j)); f.remove(); next();
	};
	document.body.append(f);
}
next();
</script>`

type measured struct {
	Name               string
	Width, Got, Scroll int
	Wide               []string
	Paper              string
	Height             int
}

type job struct {
	Name  string `json:"name"`
	Width int    `json:"width"`
}

// TestBrowser shows the pages in Chromium, in both themes, on a phone and on a tablet: nothing is wider than the window, the style sheet is applied, nothing is asked of the
// network and nothing is complained of.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	program := chromium(t)
	site := newSite(t)
	var jobs []job
	for _, name := range site.names() {
		for _, width := range []int{375, 768} {
			jobs = append(jobs, job{name, width})
		}
	}
	site.jobs = jobs
	for theme, setting := range map[string]string{"light": "1", "dark": "0"} {
		t.Run(theme, func(t *testing.T) {
			list, complaints := site.show(t, program, setting)
			if len(list) != len(jobs) {
				t.Fatalf("%d of %d frames were measured", len(list), len(jobs))
			}
			for _, m := range list {
				if m.Got != m.Width || m.Scroll > m.Width || len(m.Wide) > 0 {
					t.Errorf("%s at %d: a page of %d in a window of %d; too wide: %q", m.Name, m.Width, m.Scroll, m.Got, m.Wide)
				}
				if want := paperOf(t, theme); m.Paper != want {
					t.Errorf("%s: the background is %s, and should be %s: the style sheet is not applied, or not that of the theme", m.Name, m.Paper, want)
				}
			}
			if complaints != "" {
				t.Errorf("the browser complains:\n%s", complaints)
			}
		})
	}
	for _, path := range site.asked() {
		if path != "/" && site.pages[strings.TrimPrefix(path, "/")] == nil {
			t.Errorf("a page asked for %s", path)
		}
	}
}

// chromium returns the browser's program, or ends the test where it is missing.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("FARSHORE_TEST_BROWSER") == "none" {
		t.Skip("FARSHORE_TEST_BROWSER=none: there is no browser here, and none can be installed")
	}
	servers.Missing(t, "chromium", "apt-get install chromium")
	return ""
}

// site serves the samples' pages and notes what is asked of it.
type site struct {
	url   string
	pages map[string][]byte
	jobs  []job
	mu    sync.Mutex
	paths []string
}

func newSite(t *testing.T) *site {
	s := &site{pages: map[string][]byte{}}
	for _, sample := range samples() {
		s.pages[sample.name] = htmlOf(t, sample)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) names() []string {
	var out []string
	for name := range s.pages {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (s *site) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paths)
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.paths = append(s.paths, r.URL.Path)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if data := s.pages[strings.TrimPrefix(r.URL.Path, "/")]; data != nil {
		_, _ = w.Write(data)
		return
	}
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	list, _ := json.Marshal(s.jobs)
	_, _ = fmt.Fprintf(w, probe, list)
}

var (
	outRE     = regexp.MustCompile(`(?s)<pre id="out">(.*?)</pre>`)
	consoleRE = regexp.MustCompile(`(?m)^.*CONSOLE.*$`)
)

// show lets the browser measure the pages, and returns what it wrote to its console.
func (s *site) show(t *testing.T, program, setting string) ([]measured, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "page-browser-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // processes of the browser that end late may still write there
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--disable-extensions", "--disable-background-networking", "--no-first-run",
		"--user-data-dir="+dir, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--blink-settings=preferredColorScheme="+setting, "--window-size=1400,900",
		"--enable-logging=stderr", "--virtual-time-budget=60000", "--dump-dom", s.url+"/")
	cmd.WaitDelay = time.Minute // processes of the browser may hold its output for a while yet
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, said.Bytes())
	}
	m := outRE.FindSubmatch(out.Bytes())
	if m == nil || len(m[1]) == 0 {
		t.Fatalf("the browser measured nothing:\n%.2000s\n%.2000s", out.Bytes(), said.Bytes())
	}
	var list []measured
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &list); err != nil {
		t.Fatal(err)
	}
	return list, string(bytes.Join(consoleRE.FindAll(said.Bytes(), 10), []byte("\n")))
}

// paperOf is the background of a theme as a browser writes it.
func paperOf(t *testing.T, theme string) string {
	t.Helper()
	sheet, err := os.ReadFile("page.css")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`--paper:#([0-9a-f]{6})`).FindAllSubmatch(sheet, -1)
	i := map[string]int{"light": 0, "dark": 1}[theme]
	var r, g, b int
	if _, err := fmt.Sscanf(string(all[i][1]), "%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("rgb(%d, %d, %d)", r, g, b)
}
