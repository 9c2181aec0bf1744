package svnrepo_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/agent/source/svn"
)

func password(p string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return p, nil }
}

// TestServer captures from a server that wants a password, in increments, with all that a server shows.
func TestServer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	h := svntest.NewHistory(t, dir, 42)
	url := svntest.Serve(t, root, "alice", "se cret", "")
	r := newRig(t, svn.Options{Address: url, Repositories: []string{"app"}, Username: "alice", Password: password("se cret")})
	for i := range 4 {
		for range 8 {
			h.Step()
		}
		r.pass()
		if long() || i == 1 {
			r.restore(svnrepo.Options{})
		}
	}
	h.Commit("the last one")
	r.pass()
	restored, _ := r.restore(svnrepo.Options{})
	if lossy(t, restored) != lossy(t, dir) {
		t.Error("the dumps differ by more than carriage returns")
	}
	if got := r.svn().Attrs["fidelity"]; got != "reduced" {
		t.Errorf("fidelity is %q", got)
	}
	if n := r.count(record.PartDump); n < 3 {
		t.Errorf("the chain has %d dumps", n)
	}
	if n := r.pass(); n != 0 {
		t.Errorf("%d records were made of what did not change", n)
	}
}

// lossy returns a whole dump without carriage returns, and without the lengths that depend on them: those of properties get lost on their way from a server.
func lossy(t *testing.T, dir string) string {
	t.Helper()
	dump := strings.ReplaceAll(svntest.Dump(t, dir), "\r", "")
	return regexp.MustCompile(`(?m)^(V|Prop-content-length:|Content-length:) \d+\n`).ReplaceAllString(dump, "")
}

// TestServerErrors tells what is wrong with one repository from what is wrong with the server.
func TestServerErrors(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	trunk(t, filepath.Join(root, "app"))
	trunk(t, filepath.Join(root, "closed"))
	authz := "[/]\n* = rw\n[closed:/]\n* =\n"
	url := svntest.Serve(t, root, "alice", "secret", authz)
	tests := []struct {
		name, repository, password, reason string
		detail                             string
	}{
		{name: "a wrong password", repository: "app", password: "wrong", reason: record.ReasonDenied},
		{name: "no access to the root", repository: "closed", password: "secret", reason: record.ReasonDenied},
		{name: "no such repository", repository: "other", password: "secret", reason: record.ReasonVanished, detail: `no repository "other"`},
		{name: "a folder within", repository: "app/trunk", password: "secret", reason: record.ReasonUnsupported, detail: "name the repository itself"},
	}
	for _, test := range tests {
		r := newRig(t, svn.Options{Address: url, Repositories: []string{test.repository}, Username: "alice", Password: password(test.password)})
		s := r.source()
		_, err := s.Capture(t.Context(), source.Entry{Path: test.repository, Kind: record.KindSVN}, nil, r.mem)
		var un *source.Unreadable
		if !errors.As(err, &un) || un.Reason != test.reason || !strings.Contains(un.Detail, test.detail) {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := sourcetest.List(t, s, source.Range{}); len(got) != 1 || test.reason != record.ReasonUnsupported && got[0].Attrs != nil {
			t.Errorf("%s: listed %v", test.name, got)
		}
		_, err = s.Look(t.Context(), test.repository, record.KindSVN)
		if gone := errors.Is(err, source.ErrGone); gone != (test.reason == record.ReasonVanished) {
			t.Errorf("%s: look: %v", test.name, err)
		}
		if err != nil && strings.Contains(err.Error(), test.password) && test.password != "wrong" {
			t.Errorf("%s: the error has the password", test.name)
		}
	}
	r := newRig(t, svn.Options{Address: "svn://127.0.0.1:1/app"})
	err := r.source().List(t.Context(), source.Range{}, func(source.Entry) error { return nil })
	var un *source.Unreadable
	if err == nil || errors.As(err, &un) || errors.Is(err, source.ErrGone) {
		t.Errorf("a server that is not there: %v", err)
	}
	if r.source().Check(t.Context()) == nil {
		t.Error("the check finds nothing wrong with it")
	}
}

// TestHidden captures as a user who may not read a part of the repository: the server leaves it out, and the record says that this may be so.
func TestHidden(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := trunk(t, filepath.Join(root, "app"))
	repo.Commit("hidden", svntest.Node{Path: "secret", Action: "add", Dir: true})
	repo.Commit("x", change("two"))
	url := svntest.Serve(t, root, "", "", "[/]\n* = r\n[/secret]\n* =\n")
	r := newRig(t, svn.Options{Address: url + "/app"})
	r.pass()
	dir, report := r.restore(svnrepo.Options{})
	if strings.Contains(svntest.Dump(t, dir), "Node-path: secret") || svntest.Youngest(t, dir) != "3" {
		t.Error("what is hidden was captured, or revisions are missing")
	}
	if !strings.Contains(r.svn().Attrs["lost"], "may not read") || len(report.Notes) == 0 {
		t.Errorf("the record says %q, the report %q", r.svn().Attrs["lost"], report.Notes)
	}
}

// TestWhileInUse captures while others commit, edit properties, and pack. Each capture is a state that the repository had.
func TestWhileInUse(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	h := svntest.NewHistory(t, dir, 99)
	for range 10 {
		h.Step()
	}
	r := local(t, root)
	rounds := 3
	if long() {
		rounds = 10
	}
	for range rounds {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 6 {
				h.Step()
			}
			h.Pack()
		}()
		r.pass()
		<-done
		r.restore(svnrepo.Options{})
	}
	r.pass()
	r.same(dir)
}

// TestManyIncrements captures often. The chain stays bounded, and what is stored grows with what is new.
func TestManyIncrements(t *testing.T) {
	t.Parallel()
	n := 50
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	repo := trunk(t, dir)
	r := local(t, root)
	content := strings.Repeat("a line of text that stays\n", 40)
	for i := range n {
		repo.Commit("x", change(content+strings.Repeat("x", i)))
		r.pass()
		if i == 29 {
			t.Logf("30 increments: %d bytes given to be stored, of a dump of %d bytes", r.stored, len(svntest.Dump(t, dir)))
		}
	}
	if got := r.count(record.PartDump); got > 48 || got != r.count(record.PartDigests) {
		t.Errorf("the chain has %d dumps and %d lists of digests", got, r.count(record.PartDigests))
	}
	if full := int64(len(svntest.Dump(t, dir))); r.stored > full {
		t.Errorf("%d bytes were stored of a repository whose dump has %d", r.stored, full)
	}
	r.same(dir)
}

// TestManyEdits edits properties of many revisions at many times. The parts stay bounded.
func TestManyEdits(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	repo := svntest.New(t, dir)
	var many strings.Builder
	many.WriteString("SVN-fs-dump-format-version: 2\n\n")
	for range 1010 {
		many.WriteString("Revision-number: 1\nProp-content-length: 10\nContent-length: 10\n\nPROPS-END\n\n")
	}
	svntest.Run(t, strings.NewReader(many.String()), svncmd.Admin, "load", "--quiet", "--no-flush-to-disk", dir)
	r := local(t, root)
	r.pass()
	edits := [][]int64{{5}, {1005, 999}, {1000, 0}}
	if long() {
		edits = [][]int64{{5}, {1005}, {999}, {1000}, {0}}
	}
	for _, revisions := range edits {
		for _, rev := range revisions {
			repo.SetRevprop(rev, "svn:log", "edited")
		}
		r.pass()
	}
	var got []string
	for _, p := range r.svn().Parts {
		if p.Kind == record.PartRevprops {
			got = append(got, p.Attrs["from"]+"-"+p.Attrs["to"])
		}
	}
	if want := []string{"0-999", "1000-1010"}; !slices.Equal(got, want) {
		t.Errorf("parts of %q", got)
	}
	if full := int64(600000); r.stored > full {
		t.Errorf("%d bytes were stored", r.stored)
	}
	dir2, _ := r.restore(svnrepo.Options{})
	if svntest.Run(t, nil, svncmd.Admin, "dump-revprops", "--quiet", dir2) != svntest.Run(t, nil, svncmd.Admin, "dump-revprops", "--quiet", dir) {
		t.Error("the properties differ")
	}
}

// TestCanceled leaves nothing behind.
func TestCanceled(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	trunk(t, filepath.Join(root, "app"))
	r := local(t, root)
	r.pass()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := svnrepo.Build(ctx, r.mem, r.set(), filepath.Join(dir, "x"), svnrepo.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("build: %v", err)
	}
	left(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := svnrepo.Build(t.Context(), r.mem, r.set(), filepath.Join(dir, "x"), svnrepo.Options{}); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("build over a file: %v", err)
	}
}
