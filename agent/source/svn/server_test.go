package svn

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"farshore/agent/record"
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
