package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"

	"farshore/agent/units"
)

//go:embed style.css
var styleCSS []byte

//go:embed live.js
var liveJS []byte

//go:embed icon.svg
var iconSVG []byte

//go:embed page.html.tmpl
var pageTemplate string

//go:embed parts.html.tmpl
var partsTemplate string

// Paths of the files that do not change.
const (
	stylePath  = "/style.css"
	scriptPath = "/live.js"
	iconPath   = "/icon.svg"
)

// file is one that does not change while the program runs.
type file struct {
	body []byte
	kind string
	// tag is a short hash of it: an address that has it may be kept for ever.
	tag string
}

func staticFiles() map[string]file {
	out := map[string]file{}
	for path, f := range map[string]file{
		stylePath:  {body: styleCSS, kind: "text/css; charset=utf-8"},
		scriptPath: {body: liveJS, kind: "text/javascript; charset=utf-8"},
		iconPath:   {body: iconSVG, kind: "image/svg+xml"},
	} {
		digest := sha256.Sum256(f.body)
		f.tag = hex.EncodeToString(digest[:8])
		out[path] = f
	}
	return out
}

// file sends one of them.
func (s *site) file(w http.ResponseWriter, r *http.Request, path string) {
	f := s.static[path]
	w.Header().Set("Content-Type", f.kind)
	if r.URL.RawQuery == "v="+f.tag {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	s.send(w, http.StatusOK, f.body)
}

// parseTemplates makes the templates of all pages.
func parseTemplates(static map[string]file) (*template.Template, error) {
	t := template.New("pages").Funcs(template.FuncMap{
		"segments": units.Spans,
		"asset":    func(path string) string { return path + "?v=" + static[path].tag },
		"width":    func(share float64) string { return num(bounded(share)) },
	})
	if _, err := t.Parse(partsTemplate); err != nil {
		return nil, err
	}
	return t.Parse(pageTemplate)
}

// glanceNow makes what live sends, and gives back the place that enter took, also where it panics.
func (s *site) glanceNow() ([]byte, error) {
	defer func() { <-s.renders }()
	return json.Marshal(s.builder().glance())
}

// live sends what the script keeps up to date.
func (s *site) live(w http.ResponseWriter, r *http.Request) {
	if !s.enter(r.Context()) {
		w.Header().Set("Retry-After", "10")
		s.refuse(w, http.StatusServiceUnavailable, "Too many pages are asked for at the moment: try again soon.")
		return
	}
	out, err := s.glanceNow()
	if err != nil {
		s.o.Logger.Error("the numbers of the page can't be written", "error", err)
		s.refuse(w, http.StatusInternalServerError, "The numbers can't be written: the daemon's log says why.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.send(w, http.StatusOK, out)
}
