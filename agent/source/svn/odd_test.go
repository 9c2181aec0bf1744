package svn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
)

// pipe puts a named pipe in a file's place: whoever opens it to read waits.
func pipe(t *testing.T, file string) {
	t.Helper()
	if err := os.RemoveAll(file); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o644); err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, root string) *Source {
	t.Helper()
	s, err := New(Options{Name: "svn", Address: "svn+file://" + root})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// within fails the test when do takes longer than anything here may.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	timer := time.NewTimer(2 * time.Minute)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s hangs", what)
	}
}

// TestOddFiles puts what is no file, or far too large a one, in the place of a repository's files. All repositories are listed nevertheless, and the odd one's
// capture says what is wrong.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	link := func(t *testing.T, file string) {
		t.Helper()
		if err := errors.Join(os.Remove(file), os.Symlink("/etc/hostname", file)); err != nil {
			t.Fatal(err)
		}
	}
	large := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Truncate(file, 1<<40); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	closed := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Chmod(file, 0); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		file   string
		harm   func(t *testing.T, file string)
		reason string // of the capture; empty where it needs Subversion
	}{
		{"format", pipe, record.ReasonBroken}, {"format", large, record.ReasonBroken}, {"format", link, record.ReasonBroken},
		{"db/current", pipe, record.ReasonBroken}, {"db/current", large, record.ReasonBroken}, {"db/current", link, record.ReasonBroken}, {"db/current", gone, record.ReasonBroken},
		{"db/uuid", pipe, record.ReasonBroken}, {"db/uuid", gone, record.ReasonBroken}, {"db/format", pipe, record.ReasonBroken}, {"db/fs-type", pipe, record.ReasonBroken},
		{"db/fsfs.conf", pipe, record.ReasonBroken}, {"db/revprops", pipe, ""},
		{"db/current", closed, record.ReasonDenied},
	}
	for i, test := range tests {
		if test.reason == record.ReasonDenied && os.Geteuid() == 0 {
			continue
		}
		root := t.TempDir()
		for _, name := range []string{"a", "m", "z"} {
			fake(t, filepath.Join(root, name))
		}
		test.harm(t, filepath.Join(root, "m", test.file))
		s := folder(t, root)
		within(t, test.file, func() {
			check(t, Options{Address: "svn+file://" + root}, source.Range{}, []string{"a", "m", "z"})
			if test.reason == "" {
				return // the programs say it
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := s.Capture(ctx, source.Entry{Path: "m", Kind: record.KindSVN}, nil, &sourcetest.Memory{})
			var un *source.Unreadable
			if !errors.As(err, &un) || un.Reason != test.reason || strings.Contains(un.Detail, "\n") {
				t.Errorf("%d: %s: %v", i, test.file, err)
			}
		})
	}
}

// TestGap expects a folder that can't be listed to be told at the end of a listing.
func TestGap(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "deep"+strings.Repeat("/d", maxDepth+2))
	for _, dir := range []string{filepath.Join(root, "a"), filepath.Join(root, "z"), deep} {
		fake(t, dir)
	}
	var got []string
	err := folder(t, root).List(t.Context(), source.Range{}, func(e source.Entry) error {
		got = append(got, e.Path)
		return nil
	})
	var gap *source.Gap
	if !errors.As(err, &gap) || !strings.Contains(err.Error(), "lies more than") || strings.Join(got, " ") != "a a z z" {
		t.Errorf("listed %q, %v", got, err)
	}
}

// TestOddSidecar leaves out of the files beside a repository what can't be stored, and names it.
func TestOddSidecar(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "a")
	fake(t, dir)
	pipe(t, filepath.Join(dir, "hooks/pipe"))
	pipe(t, filepath.Join(dir, "conf"))
	text := map[string]int64{"hooks/kept": 10, "hooks/large": maxBesideBytes + 1}
	for name, size := range text {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Truncate(file, size)); err != nil {
			t.Fatal(err)
		}
	}
	s := folder(t, root)
	capture := func() *record.Record {
		var rec *record.Record
		var err error
		within(t, "the sidecar", func() {
			rec, err = s.Capture(t.Context(), source.Entry{Path: "a", Kind: record.KindSidecar}, nil, &sourcetest.Memory{})
		})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	rec := capture()
	omitted := strings.Split(rec.Attrs[record.AttrOmitted], "\n")
	if len(omitted) != 3 || !strings.HasPrefix(omitted[0], `"conf": `) || !strings.HasPrefix(omitted[1], `"hooks/large": `) || !strings.HasPrefix(omitted[2], `"hooks/pipe": `) {
		t.Errorf("omitted %q", omitted)
	}
	for i := range 300 {
		if err := os.Symlink(strings.Repeat("x", 4000), filepath.Join(dir, fmt.Sprintf("hooks/link%03d", i))); err != nil {
			t.Fatal(err)
		}
	}
	rec = capture()
	names := 0
	for _, p := range rec.Parts {
		names += len(p.Attrs["name"]) + len(p.Attrs["link"])
	}
	if n := bytes.Count([]byte(rec.Attrs[record.AttrOmitted]), []byte("\n")); names > maxBesideNames || len(rec.Parts) < 200 || n != maxOmitted {
		t.Errorf("%d files with %d bytes of names, %d lines are omitted", len(rec.Parts), names, n)
	}
}
