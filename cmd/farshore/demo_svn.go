package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svndump"
)

// The demo's repository of Subversion.
const (
	demoBooks   = "books" // the source
	demoSVNName = "ledger"
	// demoCorrected is the revision whose log message is corrected later.
	demoCorrected = 7
)

// demoSVN is the primary cloud's repository of Subversion.
type demoSVN struct {
	dir      string // that the source names
	path     string
	youngest int64
	tool     svncmd.Tool
}

// demoSVNState is what a repository has: all of it, as a dump.
type demoSVNState struct {
	revisions int64
	dump      []byte
}

// newDemoSVN makes an empty repository in a directory of the primary.
func newDemoSVN(ctx context.Context, dir string) (*demoSVN, error) {
	s := &demoSVN{dir: dir, path: filepath.Join(dir, demoSVNName)}
	return s, s.tool.Run(ctx, nil, io.Discard, svncmd.Admin, "create", s.path)
}

// begin commits the first revisions: folders, files, and a tag, which is a copy.
func (s *demoSVN) begin(ctx context.Context) error {
	return s.load(ctx, func(w *demoRevisions) {
		w.revision("folders")
		for _, name := range []string{"trunk", "tags", "branches"} {
			w.folder(name)
		}
		for i := range 20 {
			w.revision(fmt.Sprintf("page %d", i))
			w.file("add", fmt.Sprintf("trunk/page%02d.txt", i))
		}
		w.revision("tag 1.0")
		w.copied("tags/1.0", "trunk", w.number-1)
		w.edits(30)
	})
}

// change commits more revisions, and corrects the log message of an old one, which makes no revision.
func (s *demoSVN) change(ctx context.Context, scratch string) error {
	err := s.load(ctx, func(w *demoRevisions) {
		w.edits(15)
		w.revision("tag 1.1")
		w.copied("tags/1.1", "trunk", w.number-1)
	})
	if err != nil {
		return err
	}
	log := filepath.Join(scratch, "log")
	if err := createFile(log, "page 5, with the right number of barrels"); err != nil {
		return err
	}
	err = s.tool.Run(ctx, nil, io.Discard, svncmd.Admin, "setlog", s.path, log, "-r", fmt.Sprint(demoCorrected), "--bypass-hooks")
	return errors.Join(err, os.Remove(log))
}

// load adds the revisions that write writes.
func (s *demoSVN) load(ctx context.Context, write func(*demoRevisions)) error {
	w := &demoRevisions{number: s.youngest}
	if err := svndump.Begin(&w.b, ""); err != nil {
		return err
	}
	write(w)
	err := s.tool.Run(ctx, &w.b, io.Discard, svncmd.Admin, "load", s.path, "--quiet", "--no-flush-to-disk", "--ignore-uuid")
	if err == nil {
		s.youngest = w.number
	}
	return err
}

// state reads what the primary has now.
func (s *demoSVN) state(ctx context.Context) (*demoSVNState, error) {
	dump, err := readDemoSVN(ctx, s.path)
	return &demoSVNState{revisions: s.youngest, dump: dump}, err
}

func readDemoSVN(ctx context.Context, dir string) ([]byte, error) {
	return (&svncmd.Tool{}).Output(ctx, svncmd.Admin, "dump", dir, "--quiet")
}

// compareDemoSVN holds a restored repository to what the primary had: each byte of a dump, which has all revisions with their properties and the UUID.
func compareDemoSVN(ctx context.Context, dir string, want *demoSVNState) (demoComparison, error) {
	c := demoComparison{Items: 1, Bytes: int64(len(want.dump)), Revisions: want.revisions}
	got, err := readDemoSVN(ctx, dir)
	var said *svncmd.Error
	switch {
	case ctx.Err() != nil:
		return c, ctx.Err()
	case errors.As(err, &said):
		c.differs(demoSVNName, said.Error())
	case err != nil:
		return c, err
	case len(got) != len(want.dump):
		c.differs(demoSVNName, fmt.Sprintf("its dump has %d bytes, not %d", len(got), len(want.dump)))
	default:
		if i := firstDifference(got, want.dump); i >= 0 {
			c.differs(demoSVNName, fmt.Sprintf("byte %d of its dump differs", i))
		}
	}
	return c, nil
}

// demoRevisions writes revisions in the form that svnadmin load takes: the same each time.
type demoRevisions struct {
	b      bytes.Buffer
	number int64 // of the last revision
}

// edits adds so many revisions, each of which changes a file.
func (w *demoRevisions) edits(n int) {
	for range n {
		w.revision("a correction")
		w.file("change", fmt.Sprintf("trunk/page%02d.txt", w.number%20))
	}
}

// revision begins the next revision.
func (w *demoRevisions) revision(log string) {
	w.number++
	at := time.Unix(1_700_000_000+3600*w.number, 0).UTC().Format("2006-01-02T15:04:05.000000Z")
	_ = svndump.WriteRevision(&w.b, w.number, []svndump.Property{ // a buffer does not fail
		{Name: "svn:author", Value: "demo"}, {Name: "svn:date", Value: at}, {Name: "svn:log", Value: log},
	})
}

func (w *demoRevisions) folder(path string) {
	fmt.Fprintf(&w.b, "Node-path: %s\nNode-kind: dir\nNode-action: add\n\n\n", path)
}

// file adds or changes a file.
func (w *demoRevisions) file(action, path string) {
	text := demoWords(fmt.Sprint(path, w.number), 1000+int(w.number%7)*300)
	fmt.Fprintf(&w.b, "Node-path: %s\nNode-kind: file\nNode-action: %s\nText-content-length: %d\nContent-length: %d\n\n%s\n\n", path, action, len(text), len(text), text)
}

func (w *demoRevisions) copied(path, from string, revision int64) {
	fmt.Fprintf(&w.b, "Node-path: %s\nNode-kind: dir\nNode-action: add\nNode-copyfrom-rev: %d\nNode-copyfrom-path: %s\n\n\n", path, revision, from)
}
