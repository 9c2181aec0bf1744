package svn

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/providers/servers"
)

// answering is the address of a server that answers each request with the status that its path names.
func answering(t *testing.T) string {
	t.Helper()
	svntest.Need(t, servers.Missing, svncmd.SVN)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		if err != nil {
			code = http.StatusTeapot
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return "svn+" + s.URL
}

// TestOddRepositories expects each repository that a server answers for in an odd way to be listed, and its capture to say why it can't be read.
func TestOddRepositories(t *testing.T) {
	t.Parallel()
	reasons := map[string]string{
		"200": record.ReasonOther, "403": record.ReasonDenied, "404": record.ReasonVanished, "405": record.ReasonOther, "500": record.ReasonOther, "503": record.ReasonOther,
	}
	var paths []string
	for p := range reasons {
		paths = append(paths, p)
	}
	s, err := New(Options{Name: "svn", Address: answering(t), Repositories: paths})
	if err != nil {
		t.Fatal(err)
	}
	entries := sourcetest.List(t, s, source.Range{})
	if len(entries) != len(reasons) || !slices.IsSortedFunc(entries, func(a, b source.Entry) int { return strings.Compare(a.Path, b.Path) }) {
		t.Fatalf("listed %v", entries)
	}
	for _, e := range entries {
		_, err := s.Capture(t.Context(), e, nil, &sourcetest.Memory{})
		var un *source.Unreadable
		if e.Attrs != nil || !errors.As(err, &un) || un.Reason != reasons[e.Path] || !strings.Contains(un.Detail, ": ") {
			t.Errorf("%s: listed with %v, captured: %v", e.Path, e.Attrs, err)
		}
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("the check finds nothing wrong")
	}
}

// TestUnreachable expects an error of the listing where no repository answers.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Name: "svn", Address: answering(t), Repositories: []string{"502", "503"}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.List(t.Context(), source.Range{}, func(e source.Entry) error {
		t.Errorf("listed %s", e.Path)
		return nil
	})
	var gap *source.Gap
	if err == nil || errors.As(err, &gap) || !strings.Contains(err.Error(), "no repository of") {
		t.Errorf("list: %v", err)
	}
	_, err = s.Capture(t.Context(), source.Entry{Path: "502", Kind: record.KindSVN}, nil, &sourcetest.Memory{})
	if err == nil || aboutItself(err) {
		t.Errorf("capture: %v", err)
	}
}

// TestSilent expects a server that takes connections and says nothing not to be waited for as long as a dump may take.
func TestSilent(t *testing.T) {
	t.Parallel()
	svntest.Need(t, servers.Missing, svncmd.SVN)
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system takes connections for it
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := New(Options{Name: "svn", Address: "svn://" + l.Addr().String(), Repositories: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.quiet != 2*time.Minute {
		t.Errorf("the bound is %s", s.quiet)
	}
	s.quiet = 300 * time.Millisecond
	within(t, "a silent server", func() {
		err := s.List(t.Context(), source.Range{}, func(source.Entry) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "no repository of") || !strings.Contains(err.Error(), "nothing moved") {
			t.Errorf("list: %v", err)
		}
		if err := s.Check(t.Context()); err == nil || aboutItself(err) || !strings.Contains(err.Error(), "nothing moved") {
			t.Errorf("check: %v", err)
		}
	})
}

// TestConnection expects a connection that broke off never to be taken for damage, and what a server says of a repository to be told as it was.
func TestConnection(t *testing.T) {
	r := &remote{url: "svn://host/a"}
	for said, want := range map[string]string{
		"svnrdump: E210002: Network connection closed unexpectedly":                                "",
		"svnrdump: E160004: Corrupt\nsvnrdump: E210002: Network connection closed unexpectedly":    "",
		"svnrdump: E120106: The server sent a truncated HTTP response body":                        "",
		"svn: E170013: Unable to connect\nsvn: E000111: Can't connect to host: Connection refused": "",
		"svn: E170013: Unable to connect\nsvn: E175013: Access forbidden":                          record.ReasonDenied,
		"svnrdump: E160004: Corrupt node":                                                          record.ReasonBroken,
		"svnrdump: E000012: Cannot allocate memory":                                                record.ReasonOther,
	} {
		failure := &process.Failure{Stderr: said, Err: errors.New("exit status 1")}
		err := r.explain(&svncmd.Error{Program: svncmd.RDump, Command: "dump", Stderr: said, Err: failure})
		var un *source.Unreadable
		if errors.As(err, &un) != (want != "") || un != nil && un.Reason != want {
			t.Errorf("%s: %v", said, err)
		}
	}
}
