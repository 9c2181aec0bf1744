package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

// maxAttempts bounds how often refs are read again since an object that one points to is not there.
const maxAttempts = 4

// Refs reads all refs and HEAD. It must come before Pack, so that everything that the manifest names is there when the pack is made. What points to nothing,
// or to an object that is not there, is left out and named by Omitted. Failures: *source.Unreadable, source.ErrGone, ErrMoved wrapped, or others.
func (r *Repository) Refs(ctx context.Context) (*refs.Manifest, error) {
	var before map[string]string
	for range maxAttempts {
		var l *listing
		err := r.soon(ctx, func(ctx context.Context) (err error) {
			l, err = r.list(ctx)
			return err
		})
		if err != nil {
			return nil, r.failure(err)
		}
		missing, err := r.missing(ctx, l.m.Tips())
		if err != nil {
			return nil, r.failure(err)
		}
		// A ref to a missing object may have been deleted together with it a moment ago: only the one that is still there is broken.
		points := l.pointing(missing)
		if len(points) == 0 || maps.Equal(points, before) {
			return r.keep(ctx, l, missing)
		}
		before = points
	}
	return nil, fmt.Errorf("%w: objects that refs of %s point to disappear, %d times in a row", ErrMoved, r.dir, maxAttempts)
}

// keep drops what points to missing objects, adds what reflogs name, and remembers the manifest.
func (r *Repository) keep(ctx context.Context, l *listing, missing map[string]bool) (*refs.Manifest, error) {
	l.drop(missing)
	if r.options.Reflogs {
		if err := r.addReflogs(ctx, l); err != nil {
			return nil, r.failure(err)
		}
	}
	slices.SortFunc(l.m.Refs, func(a, b refs.Ref) int { return strings.Compare(a.Name, b.Name) })
	if err := l.m.Check(); err != nil {
		return nil, broken("%s: %v", r.dir, err)
	}
	slices.Sort(l.omitted)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.omittedRefs, r.lost = l.m, l.omitted, l.lost
	return l.m, nil
}

// Lost returns, after Refs, the refs that this left out because their objects are missing. A detached HEAD among them has the name HEAD. They must not be
// changed.
func (r *Repository) Lost() []refs.Ref {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// listing is a manifest in the making.
type listing struct {
	m       *refs.Manifest
	size    int // bytes of names
	omitted []string
	lost    []refs.Ref
}

// maxOmitted bounds the lines that say what was left out.
const maxOmitted = 1000

func (l *listing) omit(what, why string) {
	l.omitted = appendOmitted(l.omitted, what, why)
}

// appendOmitted adds a line, of valid text and without line feeds in it.
func appendOmitted(list []string, what, why string) []string {
	switch {
	case len(list) > maxOmitted:
		return list
	case len(list) == maxOmitted:
		return append(list, fmt.Sprintf("~: more than %d things were left out", maxOmitted))
	}
	line := strings.ToValidUTF8(cut(what)+": "+cut(why), "\uFFFD")
	return append(list, strings.ReplaceAll(line, "\n", " "))
}

// cut bounds what a line repeats.
func cut(text string) string {
	const most = 500
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// list reads refs and HEAD as they stand there.
func (r *Repository) list(ctx context.Context) (*listing, error) {
	if err := r.checkRefs(ctx); err != nil {
		return nil, err
	}
	l := &listing{m: &refs.Manifest{Format: r.format}}
	s, err := r.real.Start(ctx, nil, "for-each-ref", "--format=%(objectname)%00%(refname)%00%(symref)")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := l.read(s); err != nil {
		return nil, err
	}
	if said := s.Stderr(); strings.Contains(said, "ignoring") {
		if err := r.addBroken(l, said); err != nil {
			return nil, err
		}
	}
	return l, r.addHead(ctx, l)
}

// read takes what git for-each-ref prints.
func (l *listing) read(in io.Reader) error {
	lines := bufio.NewReaderSize(in, 256<<10) // names have at most 64 KiB
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		f := strings.Split(string(line[:len(line)-1]), "\x00")
		if len(f) != 3 {
			return fmt.Errorf("git for-each-ref printed %q", line)
		}
		if l.size += len(f[1]) + len(f[2]); len(l.m.Refs) >= refs.MaxRefs || l.size > refs.MaxNames {
			return &source.Unreadable{Reason: record.ReasonTooLarge,
				Detail: fmt.Sprintf("it has more than %d refs, or more than %d MiB of their names: delete refs that nobody needs", refs.MaxRefs, refs.MaxNames>>20)}
		}
		l.add(refs.Ref{Name: f[1], OID: f[0], Symref: f[2]})
	}
}

// add adds a ref that a manifest may have.
func (l *listing) add(ref refs.Ref) {
	one := refs.Manifest{Format: l.m.Format, Refs: []refs.Ref{ref}}
	if err := one.Check(); err != nil {
		l.omit(ref.Name, err.Error())
		return
	}
	l.m.Refs = append(l.m.Refs, ref)
}

// pointing returns the refs, and HEAD, that point to objects which are missing.
func (l *listing) pointing(missing map[string]bool) map[string]string {
	found := map[string]string{}
	if len(missing) == 0 {
		return found
	}
	if missing[l.m.HeadOID] {
		found["HEAD"] = l.m.HeadOID
	}
	for _, ref := range l.m.Refs {
		if missing[ref.OID] {
			found[ref.Name] = ref.OID
		}
	}
	return found
}

// drop leaves out what points to objects that are missing; a symbolic ref stays, and dangles.
func (l *listing) drop(missing map[string]bool) {
	if len(missing) == 0 {
		return
	}
	if missing[l.m.HeadOID] {
		l.omit("HEAD", "it points to the object "+l.m.HeadOID+", which is missing in the repository")
		l.lost = append(l.lost, refs.Ref{Name: "HEAD", OID: l.m.HeadOID})
		l.m.HeadOID = ""
	}
	kept := l.m.Refs[:0]
	for _, ref := range l.m.Refs {
		switch {
		case !missing[ref.OID]:
		case ref.Symref != "":
			ref.OID = ""
		default:
			l.omit(ref.Name, "it points to the object "+ref.OID+", which is missing in the repository")
			l.lost = append(l.lost, ref)
			continue
		}
		kept = append(kept, ref)
	}
	l.m.Refs = kept
}

// addHead reads HEAD. Only a repository that keeps its refs in tables has to be asked: the file says nothing there.
func (r *Repository) addHead(ctx context.Context, l *listing) error {
	text, err := r.headText(ctx)
	if err != nil {
		return err
	}
	target, symbolic := strings.CutPrefix(text, "ref:")
	target = strings.TrimSpace(target)
	switch {
	case symbolic && refs.ValidName(target):
		l.m.Head = target
	case !symbolic && refs.ValidOID(r.format, text):
		l.m.HeadOID = text
	default:
		l.omit("HEAD", fmt.Sprintf("it has %.100q, neither a ref nor an object id", text))
	}
	return nil
}

func (r *Repository) inTables() bool { return isDir(filepath.Join(r.dir, "reftable")) }

func (r *Repository) headText(ctx context.Context) (string, error) {
	file := filepath.Join(r.dir, "HEAD")
	if r.inTables() {
		if out, err := r.real.Output(ctx, nil, "symbolic-ref", "--quiet", "HEAD"); err == nil {
			return "ref: " + trim(out), nil
		}
		out, err := r.real.Output(ctx, nil, "rev-parse", "--verify", "HEAD")
		return trim(out), err
	}
	if target, err := os.Readlink(file); err == nil && refs.ValidName(target) {
		return "ref: " + target, nil // the oldest form
	}
	text, err := readSmall(file)
	if err != nil {
		return "", r.access(err)
	}
	return trim(text[:min(len(text), 8192)]), nil
}

// addBroken looks for the refs that git said it ignores: symbolic ones that dangle, which are kept, and those that can't be read. They are files of their own,
// except where refs are kept in tables.
func (r *Repository) addBroken(l *listing, said string) error {
	if r.inTables() {
		for line := range strings.Lines(said) {
			l.omit("refs", strings.TrimSpace(line))
		}
		return nil
	}
	known := make(map[string]bool, len(l.m.Refs))
	for _, ref := range l.m.Refs {
		known[ref.Name] = true
	}
	return r.walkFiles("refs", func(name string, info fs.FileInfo) error {
		if known[name] || strings.HasSuffix(name, ".lock") || !info.Mode().IsRegular() {
			return nil
		}
		text, err := readSmall(filepath.Join(r.dir, name))
		if gone(err) {
			return nil
		}
		content := trim(text)
		target, symbolic := strings.CutPrefix(content, "ref:")
		switch {
		case err != nil:
			l.omit(name, err.Error())
		case symbolic:
			l.add(refs.Ref{Name: name, Symref: strings.TrimSpace(target)})
		case refs.ValidName(name) && refs.ValidOID(r.format, content):
			// made after git had looked, as if it had come after the capture
		default:
			l.omit(name, fmt.Sprintf("git can't read this ref; its file has %q", content[:min(len(content), 100)]))
		}
		return nil
	})
}

// maxReflogs bounds how many objects are captured for the sake of reflogs.
const maxReflogs = 100_000

// addReflogs adds a ref for each object that only a reflog or a linked working tree names.
func (r *Repository) addReflogs(ctx context.Context, l *listing) error {
	named := map[string]bool{}
	collect := func(name string, info fs.FileInfo) error {
		if info.Mode().IsRegular() && (strings.HasPrefix(name, "logs/") || strings.Contains(name, "/logs/") || strings.HasSuffix(name, "/HEAD")) {
			return r.collect(name, named)
		}
		return nil
	}
	if err := errors.Join(r.walkFiles("logs", collect), r.walkFiles("worktrees", collect)); err != nil {
		return err
	}
	for _, oid := range l.m.Tips() {
		delete(named, oid)
	}
	ids := slices.Sorted(maps.Keys(named))
	if len(ids) > maxReflogs {
		l.omit("reflogs", fmt.Sprintf("they name %d objects that no ref points to; %d are captured", len(ids), maxReflogs))
		ids = ids[:maxReflogs]
	}
	ids, err := r.present(ctx, ids)
	if err != nil {
		return err
	}
	for _, oid := range ids {
		l.add(refs.Ref{Name: "refs/farshore/reflog/" + oid, OID: oid})
	}
	return nil
}

// collect adds the ids that a reflog, or a HEAD, begins its lines with.
func (r *Repository) collect(name string, named map[string]bool) error {
	f, err := r.openFile(name)
	if gone(err) {
		return nil
	}
	if err != nil {
		return r.access(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxSmall)
	for lines.Scan() {
		for i, field := range bytes.SplitN(lines.Bytes(), []byte(" "), 3) {
			if oid := string(field); i < 2 && refs.ValidOID(r.format, oid) {
				named[oid] = true
			}
		}
	}
	return lines.Err()
}
