// Package svnrepo makes a Subversion repository of what a vault has of it, with the svnadmin program, and compares such a repository with the facts that were
// recorded when it was captured. It never runs a hook, and what it makes runs none unless that was asked for.
package svnrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/restore/internal/workplace"
)

// Parts gives the bytes of parts back. It is used by several goroutines at a time.
type Parts interface {
	// Copy writes the part's bytes to w, and fails unless they are what was stored.
	Copy(ctx context.Context, w io.Writer, p *record.Part) error
}

// Set are the records of one repository. Sidecar may be nil.
type Set struct {
	SVN, Sidecar *record.Record
}

// Options say how a repository is made.
type Options struct {
	// Hooks puts hooks and configuration where Subversion uses them. Otherwise they lie in the folder Sidecar, not executable.
	Hooks bool
}

// Sidecar is the folder of a restored repository that has its hooks and configuration where they were not put in place.
const Sidecar = "farshore-sidecar"

// Report says what was made.
type Report struct {
	UUID      string
	Revisions int64 // beside revision 0
	Locks     int
	// Files is how many files of the sidecar were written.
	Files int
	// Notes are lines for people: what differs from the repository that was captured.
	Notes []string
}

// Attributes of records, as the capture writes them.
const (
	attrUUID     = "uuid"
	attrYoungest = "youngest"
	attrFormat   = "format"
	attrFSType   = "fs-type"
	attrLost     = "lost"
	attrFrom     = "from"
	attrTo       = "to"
)

// Build makes the repository in dir, which must not exist; folders above it are made. It is made beside dir and renamed when it is whole: on failure nothing is left.
// What an interrupted Build of the same dir left is removed.
func Build(ctx context.Context, parts Parts, set Set, dir string, o Options) (*Report, error) {
	w, err := workplace.Open(dir)
	if errors.Is(err, workplace.ErrExists) {
		return nil, fmt.Errorf("%s exists already: a repository is restored to a new folder", dir)
	}
	if err != nil {
		return nil, err
	}
	const inner = "repository"
	b := &build{parts: parts, set: set, dir: filepath.Join(w.Path, inner), o: o, scratch: w.Path, report: &Report{}}
	if w.Left != nil {
		b.note("what an interrupted restore left can't be removed: %v", w.Left)
	}
	err = b.run(ctx)
	if err == nil {
		err = w.PublishInner(inner)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return b.report, nil
}

type build struct {
	parts        Parts
	set          Set
	dir, scratch string
	o            Options
	tool         svncmd.Tool
	report       *Report
}

func (b *build) run(ctx context.Context) error {
	if b.set.SVN == nil || len(b.set.SVN.Parts) == 0 {
		return errors.New("the record has no revisions")
	}
	if err := b.create(ctx); err != nil {
		return err
	}
	if err := b.load(ctx); err != nil {
		return err
	}
	if err := b.identity(ctx); err != nil {
		return err
	}
	if err := b.locks(ctx); err != nil {
		return err
	}
	if err := b.sidecar(ctx); err != nil {
		return err
	}
	return flush(b.dir)
}

// releases are the first versions of Subversion that had a format of fsfs.
var releases = map[string]string{"1": "1.3", "2": "1.4", "3": "1.5", "4": "1.6", "6": "1.8", "7": "1.9", "8": "1.10"}

// create makes an empty repository of the recorded format, so that what may use it stays the same. Where the record names none, it is of the newest.
func (b *build) create(ctx context.Context) error {
	args := []string{"create", b.dir, "--fs-type=fsfs"}
	if release, ok := releases[b.set.SVN.Attrs[attrFormat]]; ok {
		args = append(args, "--compatible-version="+release)
	}
	if err := b.tool.Run(ctx, nil, io.Discard, svncmd.Admin, args...); err != nil {
		return err
	}
	return b.compareFormat()
}

// compareFormat notes where the restored format differs.
func (b *build) compareFormat() error {
	now, err := os.ReadFile(filepath.Join(b.dir, "db/format"))
	if err != nil {
		return err
	}
	got, _, _ := lineOf(now)
	if want := b.set.SVN.Attrs[attrFormat]; want != "" && want != got {
		b.note("the repository was of format %s and is of format %s", want, got)
	}
	return nil
}

func lineOf(b []byte) (string, []byte, bool) {
	for i, c := range b {
		if c == '\n' {
			return string(b[:i]), b[i+1:], true
		}
	}
	return string(b), nil, false
}

func (b *build) note(format string, args ...any) {
	b.report.Notes = append(b.report.Notes, fmt.Sprintf(format, args...))
}

// load loads the chain of dumps as one dump. Properties are taken as they are: old programs wrote some that newer ones refuse.
func (b *build) load(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pr, pw := io.Pipe()
	joined := make(chan error, 1)
	go func() {
		err := Dump(ctx, b.parts, b.set, pw)
		_ = pw.CloseWithError(err) // never fails
		joined <- err
	}()
	err := b.tool.Run(ctx, pr, io.Discard, svncmd.Admin, "load", b.dir, "--quiet", "--bypass-prop-validation", "--no-flush-to-disk", "--force-uuid")
	if err != nil {
		err = fmt.Errorf("the dumps can't be loaded: %w", err)
	}
	_ = pr.CloseWithError(io.ErrClosedPipe) // never fails
	cancel()
	if jerr := <-joined; err == nil {
		err = jerr
	}
	return err
}

// identity gives the repository its id, on which working copies depend, and looks at the number of revisions.
func (b *build) identity(ctx context.Context) error {
	uuid := b.set.SVN.Attrs[attrUUID]
	if err := b.tool.Run(ctx, nil, io.Discard, svncmd.Admin, "setuuid", b.dir, uuid); err != nil {
		return err
	}
	youngest, err := look(ctx, &b.tool, b.dir, "youngest")
	if err != nil {
		return err
	}
	if want := b.set.SVN.Attrs[attrYoungest]; youngest != want {
		return fmt.Errorf("the restored repository has revisions up to %s in place of %s", youngest, want)
	}
	b.report.UUID = uuid
	b.report.Revisions, err = strconv.ParseInt(youngest, 10, 64)
	if lost := b.set.SVN.Attrs[attrLost]; lost != "" {
		b.note("it was captured from a server, which does not show %s", lost)
	}
	return err
}

// look asks svnlook for a fact of one line.
func look(ctx context.Context, t *svncmd.Tool, dir, what string) (string, error) {
	out, err := t.Output(ctx, svncmd.Look, what, dir)
	if err != nil {
		return "", err
	}
	text, _, _ := lineOf(out)
	return text, nil
}

// flush waits until the file system of dir has everything on disk.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("flush %s: %w", dir, err)
	}
	return nil
}
