package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"farshore/agent/daemon/history"
)

// Bounds of the work that is done at a time.
const (
	maxRenders    = 4 // of pages, at a time; others wait
	maxReports    = 2 // read from the vault at a time; others are sent away
	renderWait    = 10 * time.Second
	reportTimeout = 40 * time.Second
)

// site answers for all pages. It is not changed once it is made, but for what says so.
type site struct {
	o         Options
	hosts     hosts
	brake     *brake
	templates *template.Template
	static    map[string]file
	renders   chan struct{} // holds one for each page being made
	reports   chan struct{} // and for each report being read
}

// New makes the handler of all pages. It is used by many goroutines at once. An error says which of the options is missing or wrong.
func New(o Options) (http.Handler, error) {
	switch {
	case o.Status == nil, o.Runs == nil, o.Shelf == nil:
		return nil, errors.New("the page has nothing to show: Status, Runs and Shelf must be given")
	case o.Token != "" && len(o.Token) < minToken:
		return nil, fmt.Errorf("the page's token has fewer than %d characters: make one with `openssl rand -hex 24`", minToken)
	case len(o.Hosts) > maxHosts:
		return nil, fmt.Errorf("the page has more than %d names of hosts", maxHosts)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &site{o: o, hosts: hosts{}, brake: newBrake(o.Now), renders: make(chan struct{}, maxRenders), reports: make(chan struct{}, maxReports)}
	for _, name := range o.Hosts {
		host, ok := hostOf(name)
		if !ok {
			return nil, fmt.Errorf("the page's host %q is no name of a host", name)
		}
		s.hosts[host] = true
	}
	s.static = staticFiles()
	var err error
	s.templates, err = parseTemplates(s.static)
	return s, err
}

// ServeHTTP answers a request: who asks by a wrong name, or changes anything, is turned away before anything is looked at.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	headers(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.deny(w, http.StatusMethodNotAllowed, "Only GET and HEAD are answered here.")
		return
	}
	if !s.hosts.allowed(r) {
		s.deny(w, http.StatusMisdirectedRequest, "This is not the name by which the page may be asked for: name it in the configuration's list of hosts.")
		return
	}
	v, arg := routeOf(r.URL.Path)
	switch {
	case v == healthView:
		health(w, s.o.Alive)
	case v == readyView:
		health(w, s.o.Ready)
	case s.admitted(w, r):
		s.answer(w, r, v, arg)
	}
}

// health says ok or not, and never why: nobody showed a token.
func health(w http.ResponseWriter, check func() error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if check != nil && check() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ok\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// admitted reports whether a request shows the token, where one is needed; else it has answered.
func (s *site) admitted(w http.ResponseWriter, r *http.Request) bool {
	if s.o.Token == "" {
		return true
	}
	token, any := shown(r)
	if any {
		if wait := s.brake.wait(r); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
			s.deny(w, http.StatusTooManyRequests, "Too many wrong tokens came from this address: wait a little.")
			return false
		}
		if same(token, s.o.Token) {
			return true
		}
		s.brake.wrong(r)
		s.o.Logger.Warn("a wrong token was shown to the page", "remote", r.RemoteAddr)
	}
	w.Header().Add("WWW-Authenticate", `Basic realm="farshore", charset="UTF-8"`)
	w.Header().Add("WWW-Authenticate", `Bearer realm="farshore"`)
	s.deny(w, http.StatusUnauthorized, "The page wants its token: as the password, with any user name.")
	return false
}

// answer shows what a path leads to.
func (s *site) answer(w http.ResponseWriter, r *http.Request, v view, arg string) {
	switch v {
	case overviewView:
		s.page(w, r, s.overviewPage)
	case sourceView:
		s.page(w, r, func() (*doc, error) { return s.sourcePage(arg) })
	case reportsView:
		s.page(w, r, s.reportsPage)
	case headsView:
		s.page(w, r, s.headsPage)
	case headsTextView:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		s.send(w, http.StatusOK, s.headsText(maxHeads))
	case reportView:
		s.report(w, r, arg)
	case liveView:
		s.live(w, r)
	case staticView:
		s.file(w, r, arg)
	case metricsView:
		if s.o.Metrics == nil {
			s.missing(w)
			return
		}
		s.o.Metrics.ServeHTTP(w, r)
	default:
		s.missing(w)
	}
}

// errNowhere is what makes a page that there is not.
var errNowhere = errors.New("there is no such page")

// page makes a page and sends it: at most maxRenders at a time.
func (s *site) page(w http.ResponseWriter, r *http.Request, build func() (*doc, error)) {
	if !s.enter(r.Context()) {
		w.Header().Set("Retry-After", "10")
		s.refuse(w, http.StatusServiceUnavailable, "Too many pages are asked for at the moment: try again soon.")
		return
	}
	out, err := s.made(build)
	switch {
	case errors.Is(err, errNowhere):
		s.missing(w)
	case err != nil:
		s.o.Logger.Error("a page can't be shown", "error", err)
		s.refuse(w, http.StatusInternalServerError, "This page can't be shown: the daemon's log says why.")
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		s.send(w, http.StatusOK, out)
	}
}

// made makes a page, and gives back the place that enter took, also where it panics.
func (s *site) made(build func() (*doc, error)) ([]byte, error) {
	defer func() { <-s.renders }()
	d, err := build()
	if err != nil {
		return nil, err
	}
	return s.render(d)
}

// enter waits for a place, for a bounded time.
func (s *site) enter(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, renderWait)
	defer cancel()
	select {
	case s.renders <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// doc is a page: its template, and what is shown in it.
type doc struct {
	Template string
	Title    string
	// Here is the path of the page among those of the navigation, "" for none.
	Here string
	Body any
	// Vault, Version and At are of every page.
	Vault, Version, At string
	Script             bool
}

func (s *site) render(d *doc) ([]byte, error) {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, d.Template, d); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// doc begins a page of a moment.
func (b *builder) doc(name, title, here string, body any) *doc {
	return &doc{Template: name, Title: title, Here: here, Body: body, Vault: safe(b.st.Vault, maxPlace), Version: safe(b.st.Version, maxName), At: b.c.exact(b.st.Now)}
}

func (s *site) missing(w http.ResponseWriter) {
	s.refuse(w, http.StatusNotFound, "There is no such page.")
}

// deny answers who may not see the pages: in plain text, since he may not see their style either, and without anything that is known here.
func (s *site) deny(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.send(w, status, []byte(text+"\n"))
}

// refuse answers with a short text on a page. It says nothing that a stranger wrote.
func (s *site) refuse(w http.ResponseWriter, status int, text string) {
	d := &doc{Template: "message", Title: strconv.Itoa(status) + " " + http.StatusText(status), Body: text, Version: safe(s.o.Version, maxName)}
	out, err := s.render(d)
	if err != nil {
		out = []byte(text + "\n")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	s.send(w, status, out)
}

// send writes an answer whole. An error is that of a reader who has gone.
func (s *site) send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.o.Logger.Debug("an answer of the page did not arrive", "error", err)
	}
}

func (s *site) protection() *history.Probe {
	if s.o.Protection == nil {
		return nil
	}
	return s.o.Protection()
}

// report shows a report of the vault, whose page has its own style and is shut in.
func (s *site) report(w http.ResponseWriter, r *http.Request, hash string) {
	select {
	case s.reports <- struct{}{}:
		defer func() { <-s.reports }()
	default:
		w.Header().Set("Retry-After", "10")
		s.refuse(w, http.StatusServiceUnavailable, "Other reports are being read from the vault: try again soon.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), reportTimeout)
	defer cancel()
	page, err := s.o.Shelf.Page(ctx, hash)
	switch {
	case errors.Is(err, ErrNoReport):
		s.refuse(w, http.StatusNotFound, "This daemon knows of no such report.")
	case errors.Is(err, ErrBusy):
		w.Header().Set("Retry-After", "60")
		s.refuse(w, http.StatusServiceUnavailable, "Many reports were read from the vault of late: try again in a minute, or run `farshore report show`.")
	case r.Context().Err() != nil: // nobody waits for it any more, and who hangs up fills no log
	case errors.Is(err, context.DeadlineExceeded):
		s.refuse(w, http.StatusGatewayTimeout, "The vault did not give the report in time: try again, or run `farshore report show`.")
	case err != nil:
		s.o.Logger.Warn("a report can't be shown", "report", hash, "error", err)
		s.refuse(w, http.StatusBadGateway, "The report can't be read: the daemon's log says why.")
	default:
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", sandbox(page))
		h.Set("Cross-Origin-Opener-Policy", "unsafe-none") // browsers refuse to show a page that is both shut in and alone
		s.send(w, http.StatusOK, page)
	}
}
