package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"farshore/agent/report"
	"farshore/agent/report/page"
)

var write = flag.String("write", "", "write the samples' pages to this `directory`, for a look at them")

func htmlOf(tb testing.TB, s sample) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := page.HTML(&b, page.NewView(s.entry, s.names, s.history)); err != nil {
		tb.Fatal(err)
	}
	if *write != "" {
		if err := os.WriteFile(filepath.Join(*write, s.name+".html"), b.Bytes(), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestHTML holds each page to be well formed, self-contained and without a script.
func TestHTML(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			data := htmlOf(t, s)
			checkPage(t, data)
			if len(data) > 300<<10 {
				t.Errorf("the page has %d bytes", len(data))
			}
		})
	}
}

// tags are all that a page is made of. None of them runs or loads anything.
var tags = map[string]bool{}

func init() {
	for _, t := range strings.Fields("html head meta title link style body header p svg path span main section h1 h2 h3 dl div dt dd ul ol li strong code details summary table caption thead " +
		"tbody tr th td bdi figure figcaption rect circle line text desc i b footer") {
		tags[t] = true
	}
}

// attributes are all that its elements have.
var attributes = map[string]bool{}

func init() {
	for _, a := range strings.Fields("lang charset http-equiv content name rel href class id role scope data-label open aria-hidden aria-label aria-labelledby focusable viewbox preserveaspectratio " +
		"d x y x1 x2 y1 y2 cx cy r dx dy width height") {
		attributes[a] = true
	}
}

func checkPage(t *testing.T, data []byte) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	p := &pageCheck{t: t, ids: map[string]bool{}}
	p.node(root)
	for _, ref := range p.refs {
		if !p.ids[ref] {
			t.Errorf("something is labelled by %q, which there is not", ref)
		}
	}
	if !p.policy {
		t.Error("the page has no policy that allows its own style sheet alone")
	}
	if !balanced(t, data) {
		t.Error("the tags are not balanced")
	}
	if i := bytes.IndexFunc(data, func(r rune) bool { return r != '\n' && r != ' ' && !unicode.IsPrint(r) && r != '\u00a0' }); i >= 0 {
		t.Errorf("a character that can't be seen: %q", data[max(0, i-40):i+10])
	}
	for _, word := range []string{"NaN", "Inf ", "%!", "ZgotmplZ", "<no value>", "<nil>"} {
		if bytes.Contains(data, []byte(word)) {
			t.Errorf("the page has %q", word)
		}
	}
}

type pageCheck struct {
	t      *testing.T
	ids    map[string]bool
	refs   []string
	policy bool
	style  string
	csp    string
}

func (p *pageCheck) node(n *html.Node) {
	if n.Type == html.ElementNode {
		p.element(n)
	}
	if n.Type == html.CommentNode {
		p.t.Errorf("a comment: %q", n.Data)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.node(c)
	}
}

func (p *pageCheck) element(n *html.Node) {
	name := strings.ToLower(n.Data)
	if !tags[name] {
		p.t.Errorf("an element <%s>", name)
	}
	at := map[string]string{}
	for _, a := range n.Attr {
		key := strings.ToLower(a.Key)
		at[key] = a.Val
		if !attributes[key] || strings.HasPrefix(key, "on") {
			p.t.Errorf("<%s %s=%q>", name, a.Key, a.Val)
		}
		for _, scheme := range []string{"http:", "https:", "javascript:", "//"} {
			// Labels and texts may have a stranger's words; none of these attributes loads anything.
			if key != "data-label" && key != "aria-label" && key != "content" && strings.Contains(a.Val, scheme) {
				p.t.Errorf("<%s %s=%q>", name, a.Key, a.Val)
			}
		}
	}
	if id, ok := at["id"]; ok {
		if p.ids[id] || id == "" {
			p.t.Errorf("the id %q twice, or empty", id)
		}
		p.ids[id] = true
	}
	p.refs = append(p.refs, strings.Fields(at["aria-labelledby"])...)
	switch {
	case name == "link" && at["href"] != "data:,":
		p.t.Errorf("a link to %q", at["href"])
	case name == "meta" && strings.EqualFold(at["http-equiv"], "refresh"):
		p.t.Error("the page loads another")
	case name == "meta" && at["http-equiv"] == "Content-Security-Policy":
		p.csp = at["content"]
	case name == "style":
		p.style = n.FirstChild.Data
		digest := sha256.Sum256([]byte(p.style))
		p.policy = p.csp == "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(digest[:])+"'; img-src data:; base-uri 'none'; form-action 'none'"
		if strings.Contains(p.style, "url(") || strings.Contains(p.style, "@import") {
			p.t.Error("the style sheet loads something")
		}
	}
}

// voids are the elements that have no end tag.
var voids = map[string]bool{"meta": true, "link": true}

// balanced reports whether every start tag has its end tag, without what a parser mends.
func balanced(t *testing.T, data []byte) bool {
	z := html.NewTokenizer(bytes.NewReader(data))
	var open []string
	for {
		switch tt := z.Next(); tt {
		case html.ErrorToken:
			return len(open) == 0
		case html.StartTagToken:
			name, _ := z.TagName()
			if !voids[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Logf("</%s> ends %v", name, open)
				return false
			}
			open = open[:len(open)-1]
		}
	}
}

// TestHostile holds what a stranger wrote to be shown, and to be nothing but shown.
func TestHostile(t *testing.T) {
	data := string(htmlOf(t, hostile()))
	for _, bad := range []string{"<script", "<img", "\u202e", "\u2066", "\x1b", "\u2028", "\u200b"} {
		if strings.Contains(data, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(data, "&lt;script&gt;alert(1)") {
		t.Error("what the stranger wrote is not shown at all")
	}
	if strings.Contains(data, strings.Repeat("A", 300)) || strings.Contains(data, strings.Repeat("d/", 200)) {
		t.Error("a path of ten thousand characters is shown whole")
	}
}

// TestLongHistory holds the page to its size with ten years of audits, and the charts to what is in them.
func TestLongHistory(t *testing.T) {
	last := intact(end)
	for _, n := range []int{0, 1, 2, 59, 60, 61, 500, 3650} {
		s := sample{"history", entry(last, 9999), sampleNames(), year(last, n, day)}
		data := htmlOf(t, s)
		checkPage(t, data)
		if len(data) > 300<<10 {
			t.Errorf("with %d audits before it the page has %d bytes", n, len(data))
		}
		lonely := strings.Contains(string(data), "One audit so far: there is no history to draw.")
		if lonely != (n == 0) {
			t.Errorf("with %d audits before it: says that there is no history: %t", n, lonely)
		}
		if rows := strings.Count(string(data), "<tr role=\"row\">"); rows > 60*4+60 {
			t.Errorf("with %d audits before it the page has %d rows", n, rows)
		}
	}
}

// TestHistoryIsOneSigners holds the chart of coverage to the signer of the report: what another verified is not in its ledger. And what is newer than the report is no history of it.
func TestHistoryIsOneSigners(t *testing.T) {
	last := intact(end)
	other := entry(intact(end.Add(-day)), 1)
	other.Signer = strings.Repeat("b", 32)
	newer := entry(intact(end.Add(time.Hour)), 3)
	s := sample{"two", entry(last, 2), nil, nil}
	s.history = append(s.history, newer, other, s.entry, nil, &report.Entry{})
	data := string(htmlOf(t, s))
	if n := strings.Count(data, "there is no history to draw"); n != 2 {
		t.Errorf("%d charts have no history; those of coverage and of what was checked should not", n)
	}
	if !strings.Contains(data, "2 audits on record") {
		t.Error("the audits on record are not this one and the one before it")
	}
}

// TestPalette computes the contrast of every pair of colours that a text stands in, and of what charts draw, in each theme.
func TestPalette(t *testing.T) {
	sheet, err := os.ReadFile("page.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`:root\{([^}]*)\}`).FindAllSubmatch(sheet, -1)
	if len(themes) != 3 {
		t.Fatalf("%d palettes, want those of light, dark and print", len(themes))
	}
	for i, theme := range []string{"light", "dark", "print"} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z0-9-]+):(#[0-9a-f]{3,6})`).FindAllSubmatch(themes[i][1], -1) {
			colours[string(m[1])] = string(m[2])
		}
		hold := func(fore, back string, least float64) {
			t.Helper()
			if colours[fore] == "" || colours[back] == "" {
				t.Fatalf("%s: no colour %s or %s", theme, fore, back)
			}
			if c := contrast(t, colours[fore], colours[back]); c < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", theme, fore, back, c, least)
			}
		}
		for _, back := range []string{"paper", "card"} {
			for _, fore := range []string{"ink", "soft", "accent", "good", "warn", "bad", "tamper"} {
				hold(fore, back, 4.5)
			}
			for _, fore := range []string{"second", "age0", "age3", "never"} {
				hold(fore, back, 3)
			}
		}
		for _, tone := range []string{"good", "warn", "bad", "tamper"} {
			hold("ink", tone+"-soft", 4.5)
			hold(tone, tone+"-soft", 4.5)
		}
		hold("ink", "accent-soft", 4.5)
		hold("soft", "accent-soft", 4.5)
		hold("accent", "accent-soft", 3)
	}
}

// contrast is that of the Web Content Accessibility Guidelines 2.2.
func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	hex = strings.TrimPrefix(hex, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	var r, g, b int
	if _, err := fmt.Sscanf(hex, "%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatal(err)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

func linear(n int) float64 {
	v := float64(n) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}
