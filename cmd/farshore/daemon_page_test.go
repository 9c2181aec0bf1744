package main

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/providers/servers"
)

// TestPageStays holds a page that a changed configuration has the same to stay, with the connections of those who read it, and another one to take its place.
func TestPageStays(t *testing.T) {
	r := newRig(t)
	e, _, _ := testEnv(t)
	c, err := config.Load(r.path("farshore.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.Web.Listen = servers.Unused(t)
	s, err := newService(e, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	first := s.page
	other := *c
	other.Web.Hosts = []string{"farshore.example.net"}
	for _, tt := range []struct {
		what string
		c    *config.Config
		same bool
	}{{"the same", c, true}, {"other hosts", &other, false}} {
		next, err := s.replacePage(tt.c)
		if err != nil || (next == first) != tt.same {
			t.Fatalf("%s: another page: %v; %v", tt.what, next != first, err)
		}
		s.page = next
	}

	// An address may be in use for a moment after it was given up.
	other.Web.Listen = servers.Unused(t)
	taken, err := net.Listen("tcp", other.Web.Listen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.openAgain(&other); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address that is taken: %v", err)
	}
	freed := make(chan error, 1)
	time.AfterFunc(5*askAgain, func() { freed <- taken.Close() })
	p, err := s.openAgain(&other)
	if err != nil {
		t.Errorf("an address that is taken for a moment: %v", err)
	}
	if err := <-freed; err != nil {
		t.Error(err)
	}
	p.close(t.Context(), s.log)
}
