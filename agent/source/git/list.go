package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/source"
)

// Attributes of records, beside record.AttrOmitted.
const (
	attrFormat   = "format"
	attrRefs     = "refs" // digest of the manifest; of an lfs record: of the one that it was made for
	attrCount    = "count"
	attrHead     = "head"
	attrCaptured = "captured"
	attrSketch   = "sketch"
	attrParent   = "parent"
	attrLFS      = "lfs"
	attrFsck     = "fsck"   // why there is no fsck part
	attrShared   = "shared" // how many of the first packs were taken over from another repository
	attrBased    = "based"  // when the first pack was made
	attrDigest   = "digest" // of a sidecar: names, modes and contents
)

const yes = "yes"

// List finds the repositories of the range, looks at the refs of all, and yields them in order: up to three entries each. Those whose refs can't be read are
// yielded too, for Capture to say why. A *source.Gap comes after all that was found was yielded, and says what could not be listed; any other error says that none of the repositories can be
// read for a reason that is not theirs.
func (s *Source) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	l := s.enumerate(ctx, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := s.survey(ctx, l.repos); err != nil {
		return err
	}
	s.adopt(r, l)
	for _, repo := range l.repos {
		for _, e := range s.entries(repo) {
			if err := yield(e); err != nil {
				return err
			}
		}
	}
	if len(l.errs) > 0 {
		return &source.Gap{Err: errors.Join(l.errs...)}
	}
	return nil
}

// survey looks at the repositories, some at a time. It fails when none of them can be read for a reason that is not its own.
func (s *Source) survey(ctx context.Context, repos []*repository) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.o.Lookahead)
	for _, r := range repos {
		g.Go(func() error {
			r.seen = s.look(gctx, r)
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.unreachable(repos)
}

// unreachable returns an error when no repository answered and none said why: then it is not the repositories.
func (s *Source) unreachable(repos []*repository) error {
	if len(repos) == 0 {
		return nil
	}
	for _, r := range repos {
		if r.seen.err == nil || aboutItself(r.seen.err) {
			return nil
		}
	}
	return fmt.Errorf("no repository of %s can be read: %w", s.address, repos[0].seen.err)
}

// aboutItself reports whether an error is about one repository for certain.
func aboutItself(err error) bool {
	var bad *source.Unreadable
	return errors.As(err, &bad) || errors.Is(err, source.ErrGone)
}

// look reads the refs of a repository, and the files beside it where it is on this machine.
func (s *Source) look(ctx context.Context, r *repository) (v survey) {
	if s.address.scheme != schemeFile {
		remote, err := s.openRemote(r)
		if err != nil {
			return survey{err: err}
		}
		defer remote.Close()
		v.readRefs(ctx, remote)
		return v
	}
	here, err := s.openLocal(ctx, r)
	if err != nil {
		return survey{err: err}
	}
	defer here.Close()
	v.readRefs(ctx, here)
	r.size = packBytes(r.dir)
	v.shares = append(here.Alternates(), objectsOf(r.dir))
	if digest, err := sidecarDigest(ctx, here); err == nil {
		v.sidecar = digest
	} // else its capture says why
	return v
}

func (v *survey) readRefs(ctx context.Context, b backend) {
	m, err := b.Refs(ctx)
	if err != nil {
		v.err = err
		return
	}
	v.ok, v.format, v.digest, v.sketch, v.head, v.count = true, m.Format, m.Digest(), m.Sketch(), head(m), len(m.Refs)
}

// adopt remembers the listing for captures, in place of what an earlier one said of the range.
func (s *Source) adopt(r source.Range, l *listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nets.without(func(old *repository) bool { return r.Contains(old.path) })
	for path := range s.repos {
		if r.Contains(path) {
			delete(s.repos, path)
		}
	}
	s.doubts[r.From] = l.doubts
	for _, repo := range l.repos {
		s.repos[repo.path] = repo
		if repo.leader = s.nets.join(repo); repo.leader != nil {
			repo.leader.followed = true
		}
	}
}

// entries are the items of a repository, in order of their kinds.
func (s *Source) entries(r *repository) []source.Entry {
	list := []source.Entry{{Path: r.path, Kind: record.KindGit, Size: r.size, Attrs: r.attrs()}}
	if s.useLFS() {
		list = append(list, source.Entry{Path: r.path, Kind: record.KindLFS, Attrs: some(attrRefs, r.seen.digest)})
	}
	if s.address.scheme == schemeFile {
		list = append(list, source.Entry{Path: r.path, Kind: record.KindSidecar, Attrs: some(attrDigest, r.seen.sidecar)})
	}
	return list
}

func some(key, value string) record.Attrs {
	if value == "" {
		return nil
	}
	return record.Attrs{key: value}
}

// attrs are what the survey tells of a history.
func (r *repository) attrs() record.Attrs {
	a := record.Attrs{}
	if r.seen.ok {
		a = record.Attrs{
			attrFormat: r.seen.format, attrRefs: r.seen.digest, attrSketch: r.seen.sketch, attrCount: strconv.Itoa(r.seen.count), attrHead: r.seen.head,
		}
	}
	if r.parent != "" {
		a[attrParent] = r.parent
	}
	return a
}

// Unchanged compares digests: of the refs, for LFS objects that of the refs for which they were collected, for a sidecar that of its files. What could not
// be captured whole is tried again each time.
func (s *Source) Unchanged(e source.Entry, last *record.Record) bool {
	r := s.at(e.Path)
	if e.Kind == record.KindGit {
		return s.unchangedHistory(r, e, last)
	}
	key := attrRefs
	if e.Kind == record.KindSidecar {
		key = attrDigest
	}
	now := e.Attrs[key]
	// Where the refs can't be read the history's capture says why: what was captured of the rest stays.
	same := now == "" && !r.seen.ok || now != "" && last.State == record.Present && last.Attrs[record.AttrOmitted] == "" && last.Attrs[key] == now
	if same && e.Kind == record.KindLFS {
		s.forget(r)
	}
	return same
}

func (s *Source) unchangedHistory(r *repository, e source.Entry, last *record.Record) bool {
	now := e.Attrs[attrRefs]
	if now == "" || last.State != record.Present || last.Attrs[attrRefs] != now || last.Attrs[record.AttrOmitted] != "" {
		return false
	}
	s.turnOf(r).finish(s.kept(r, &outcome{rec: last, from: now}))
	return true
}

// kept returns the outcome if anybody will ask for it.
func (s *Source) kept(r *repository, o *outcome) *outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.followed && !s.useLFS() {
		return nil
	}
	return o
}

// Look returns what a listing would say of the item now.
func (s *Source) Look(ctx context.Context, path, kind string) (record.Attrs, error) {
	known := s.at(path)
	s.mu.Lock()
	r := *known
	s.mu.Unlock()
	r.seen = s.look(ctx, &r)
	switch {
	case errors.Is(r.seen.err, source.ErrGone):
		return nil, source.ErrGone
	case r.seen.err != nil:
		return nil, s.failure(ctx, &r, r.seen.err)
	}
	for _, e := range s.entries(&r) {
		if e.Kind == kind {
			return e.Attrs, nil
		}
	}
	return nil, source.ErrGone
}

// Check reports whether repositories can be listed and the first of them can be read. That one of them is broken is no failure of the source.
func (s *Source) Check(ctx context.Context) error {
	if s.address.scheme == schemeFile {
		if info, err := os.Stat(s.address.path); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is no directory that can be read: %w", s.address.path, cmp.Or(err, error(syscall.ENOTDIR)))
		}
		if _, err := (&gitcmd.Git{Dir: s.address.path}).Output(ctx, nil, "version"); err != nil {
			return fmt.Errorf("%s: %w", s.address, err)
		}
	}
	first, err := s.first(ctx)
	switch {
	case err != nil:
		return err
	case first == nil && s.address.scheme == schemeFile:
		return fmt.Errorf("no git repository was found below %s that the address means", s.address.path)
	case first == nil:
		return fmt.Errorf("%s: no repositories are listed; the credential may see none of them", s.address)
	}
	seen := s.look(ctx, first)
	if err := s.failure(ctx, first, seen.err); err != nil && !errors.Is(err, source.ErrGone) {
		var bad *source.Unreadable
		if s.address.scheme == schemeFile && errors.As(err, &bad) && bad.Reason != record.ReasonDenied {
			return nil
		}
		return fmt.Errorf("%s: %w", first.path, err)
	}
	return nil
}

var errEnough = errors.New("one is enough")

// first returns a repository of the source, nil where there is none.
func (s *Source) first(ctx context.Context) (r *repository, err error) {
	take := func(found *repository) error {
		r = found
		return errEnough
	}
	switch {
	case len(s.paths) > 0:
		return s.guess(s.paths[0]), nil
	case s.address.scheme == schemeFile:
		err = s.walk(ctx, take, func(string, error) {})
	case s.address.forge != "":
		err = s.ask(ctx, take)
	default:
		return s.guess(s.address.base()), nil
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return r, err
}
