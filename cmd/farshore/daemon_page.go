package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"syscall"
	"time"

	"farshore/agent/config"
	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/daemon/web"
	"farshore/agent/units"
)

// pageServer is the page as one configuration has it. nil is none.
type pageServer struct {
	web    config.Web
	token  string
	server *web.Server
}

// where says where the page is, for the log.
func (p *pageServer) where() string {
	if p == nil {
		return "off"
	}
	scheme := "http"
	if p.web.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + p.server.Addr().String() + "/"
}

// close ends the page.
func (p *pageServer) close(ctx context.Context, log *slog.Logger) {
	if p == nil {
		return
	}
	if err := p.server.Close(ctx); err != nil {
		log.Debug("the page", "error", err)
	}
}

// openPage makes the page of a configuration, and listens; nil where it is off.
func (s *service) openPage(c *config.Config) (*pageServer, error) {
	if c.Web.Off() {
		return nil, nil
	}
	token, err := c.WebToken(s.e.getenv)
	if err != nil {
		return nil, err
	}
	secure, err := s.tlsOf(c)
	if err != nil {
		return nil, err
	}
	numbers, err := s.metricsHandler()
	if err != nil {
		return nil, err
	}
	handler, err := web.New(web.Options{
		Status: s.d.Status, Runs: s.history.Runs, Shelf: s.shelf, Metrics: numbers, Protection: s.protection, Token: token, Hosts: c.Web.Hosts,
		Ready: s.ready, Alive: s.lively, Logger: s.log, Version: buildVersion().Version, Now: s.e.now,
	})
	if err != nil {
		return nil, err
	}
	p := &pageServer{web: c.Web, token: token, server: web.NewServer(handler, s.log)}
	if err := p.server.Start(c.Web.Listen, secure); err != nil {
		return nil, &failure{exit: exitUsage, code: codeConfig, err: err, hint: "`web.listen` in the configuration names another address, or `off`"}
	}
	return p, nil
}

// tlsOf is how the page speaks TLS; nil for not at all.
func (s *service) tlsOf(c *config.Config) (*tls.Config, error) {
	if c.Web.TLSCert == "" {
		return nil, nil
	}
	return web.Certificate(func() (*tls.Certificate, error) { return c.WebCertificate(s.e.getenv) }, s.log)
}

// replacePage makes the page as a changed configuration has it. One that would be the same stays, so that nobody who reads it is cut off; one that listens where the old one did takes its
// place: an address can't be had twice.
func (s *service) replacePage(c *config.Config) (*pageServer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	old := s.page
	if old == nil || old.web.Listen != c.Web.Listen {
		next, err := s.openAgain(c)
		if err == nil {
			old.close(ctx, s.log)
		}
		return next, err
	}
	token, err := c.WebToken(s.e.getenv)
	if err != nil {
		return nil, err
	}
	if token == old.token && reflect.DeepEqual(c.Web, old.web) {
		return old, nil
	}
	old.close(ctx, s.log)
	next, err := s.openAgain(c)
	if err == nil {
		return next, nil
	}
	back, again := s.openAgain(s.config())
	if again != nil {
		s.log.Error("the page is gone, and is tried again", "error", again)
	}
	s.page = back
	return nil, err
}

// keepPage has a page that could not be had tried again, until ctx ends.
func (s *service) keepPage(ctx context.Context) {
	tick := time.NewTicker(pageAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.missingPage()
		}
	}
}

// pageAgain is how often a page that could not be had is tried again.
const pageAgain = 10 * time.Second

// missingPage opens the page where the configuration has one, and it is not there.
func (s *service) missingPage() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.page != nil || s.config().Web.Off() {
		return
	}
	p, err := s.openPage(s.config())
	if err != nil {
		s.log.Debug("the page", "error", err)
		return
	}
	s.page = p
	s.log.Info("the page is there now", "page", p.where())
}

const (
	// lingers is for how long an address that was given up may still be in use: a program that is being started, as git is, has what this process listened at until its own image is loaded.
	lingers = time.Second
	// askAgain is how often it is tried meanwhile.
	askAgain = 20 * time.Millisecond
)

// openAgain is openPage where the address may have been given up just now.
func (s *service) openAgain(c *config.Config) (*pageServer, error) {
	for begin := time.Now(); ; time.Sleep(askAgain) {
		p, err := s.openPage(c)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Since(begin) > lingers {
			return p, err
		}
	}
}

// metricsHandler answers /metrics: what the daemon and its process are doing, and what runs came to.
func (s *service) metricsHandler() (http.Handler, error) {
	r, err := web.NewRegistry(s.numbers, s.board)
	if err != nil {
		return nil, err
	}
	return web.MetricsHandler(r, s.log), nil
}

// sluggish is for how long the daemon's loop may not have come round until it counts as hung.
const sluggish = time.Minute

// alive reports whether the daemon's own loop comes round.
func (s *service) alive() bool { return s.lively() == nil }

func (s *service) lively() error {
	if idle := s.e.now().Sub(s.d.Beat()); idle > sluggish {
		return fmt.Errorf("the daemon's loop did not come round for %s", units.Duration(idle))
	}
	return nil
}

// ready says why the daemon can't be relied on: it is not alive, or stopping.
func (s *service) ready() error {
	if s.d.Status().Stopping {
		return errors.New("it is stopping")
	}
	return s.lively()
}

// protection is what is known of the agent's credential; nil where nothing is.
func (s *service) protection() *history.Probe {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// proven takes what a run with a configuration knows of the agent's credential. What that was at another vault, or held to something else, says nothing of what counts now.
func (s *service) proven(c *config.Config, p *protection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil && c.Vault == s.c.Vault && c.Require == s.c.Require {
		s.known = probeNumbers(p)
	}
}

// provenAt takes what the local state has of the credential, once the vault's place is known, where no run has said more since the start. That nothing is kept is nothing to know.
func (s *service) provenAt(c *config.Config, p *protection) {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if known == nil && p != nil && p.Time != nil {
		s.proven(c, p)
	}
}

// waivedBy is what is known of the credential by the configuration alone: nil, unless it asks for nothing.
func waivedBy(c *config.Config) *history.Probe {
	if c.Require == config.RequireNone {
		return probeNumbers(waived(c))
	}
	return nil
}

// line says in a line how the daemon stands, for `systemctl status`.
func (s *service) line() string {
	st := s.d.Status()
	var running, late, failing int
	for i := range st.Sources {
		src := &st.Sources[i]
		if src.Running != nil {
			running++
		}
		if src.Late {
			late++
		}
		if src.Failures > 0 {
			failing++
		}
	}
	text := plural(int64(len(st.Sources)), "source") + ", " + plural(int64(running), "pass") + " under way"
	if late > 0 {
		text += fmt.Sprintf(", %d LATE", late)
	}
	if failing > 0 {
		text += fmt.Sprintf(", %d FAILING", failing)
	}
	if st.Config.Problem != "" {
		text += ", a changed configuration was REFUSED"
	}
	if next := nextRun(&st); !next.IsZero() {
		text += ", next " + next.Format("15:04:05")
	}
	return text
}

// nextRun is when the first of the jobs is due; zero where none is.
func nextRun(st *daemon.Status) (first time.Time) {
	for i := range st.Sources {
		if next := st.Sources[i].Next; len(next) > 0 && (first.IsZero() || next[0].Before(first)) {
			first = next[0]
		}
	}
	return first
}

// told notes that systemd could not be told. It is no reason to stop.
func (s *service) told(err error) {
	if err != nil {
		s.log.Warn("systemd could not be told how the daemon is", "error", err)
	}
}
