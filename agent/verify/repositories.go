package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/repo/tempdir"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/vault"
)

// Looker is asked what a repository is now at its source: the attributes that a listing gives.
type Looker interface {
	Look(ctx context.Context, path, kind string) (record.Attrs, error)
}

// Repositories is what came of restoring repositories and letting git and Subversion check them.
type Repositories struct {
	// Checked were restored into a scratch place and found to be what was captured: the newest capture of each repository, and one of a random older
	// snapshot where that has another.
	Checked int64 `json:"checked"`
	// Older are those of Checked that come from the older snapshot.
	Older int64 `json:"older"`
	// Problems were found in so many; each is a finding.
	Problems int64 `json:"problems"`
	// Unchecked could not be restored here, for want of a program, of room or of a key; each is a notice.
	Unchecked int64 `json:"unchecked"`
	// Current are at their source now as the newest snapshot has them, Moved have changed there since, Unseen could not be looked at.
	Current int64 `json:"current"`
	Moved   int64 `json:"moved"`
	Unseen  int64 `json:"unseen"`
}

// repositoryWorkers is how many repositories are restored at a time: their programs use a core each.
const repositoryWorkers = 2

// scratch restores repositories of the newest and of an older snapshot of each chain and has them checked.
type scratch struct {
	*run
	reader *vault.Reader
	dir    string
	seen   map[[sha256.Size]byte]bool // by path and what the parts consist of

	mu     sync.Mutex
	res    *Repositories
	locked bool // no key at hand opens one of them
	n      int  // directories so far, the lister's own
}

// set is a repository's records in one snapshot: those of the kinds git or svn, lfs and sidecar.
type set struct {
	path string
	kind string
	recs map[string]*record.Record
}

// repositories checks the repositories of all chains.
func (r *run) repositories(ctx context.Context) error {
	s := &scratch{run: r, reader: r.v.NewReader(), seen: map[[sha256.Size]byte]bool{}, res: &r.res.Repositories}
	for _, c := range r.chains {
		if c.Source.Kind != record.KindGit && c.Source.Kind != record.KindSVN {
			continue
		}
		if err := s.chain(ctx, c); err != nil {
			return err
		}
	}
	if s.locked && s.res.Checked+s.res.Problems == 0 {
		return fmt.Errorf("the identity opens no repository: %w", vault.ErrLocked)
	}
	return nil
}

// chain checks one chain's repositories in a directory of its own.
func (s *scratch) chain(ctx context.Context, c *vault.Chain) error {
	newest, older := s.choose(c)
	if newest == nil {
		return nil
	}
	dir, err := tempdir.New(s.o.Scratch, "farshore-verify-")
	if err != nil {
		return fmt.Errorf("a scratch directory: %w", err)
	}
	s.dir = dir.Path
	err = s.snapshot(ctx, newest, false, s.o.Live[c.Source.Name])
	if err == nil && older != nil {
		err = s.snapshot(ctx, older, true, nil)
	}
	return errors.Join(err, dir.Close())
}

// choose returns the newest snapshot that counts, and one of the others by chance.
func (s *scratch) choose(c *vault.Chain) (newest, older *vault.Commit) {
	var others []*vault.Commit
	for _, k := range c.Commits {
		if k.Root == nil || k.Revoked || k.Seq == 1 { // the first commit of a chain is empty
			continue
		}
		if newest != nil {
			others = append(others, newest)
		}
		newest = k
	}
	if len(others) > 0 {
		older = others[rand.IntN(len(others))]
	}
	return newest, older
}

func (s *scratch) snapshot(ctx context.Context, k *vault.Commit, older bool, live Looker) error {
	snap, err := s.v.Snapshot(ctx, k)
	if err != nil {
		return s.damage(err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(repositoryWorkers)
	for set, err := range sets(snap.Records(gctx, "", "")) {
		if err != nil {
			return errorOf(g, s.damage(err))
		}
		if live != nil {
			s.look(gctx, live, set)
		}
		if s.known(set) {
			continue
		}
		s.n++
		dir := filepath.Join(s.dir, fmt.Sprint(s.n))
		g.Go(func() error { return s.check(gctx, k, set, dir, older) })
	}
	return g.Wait()
}

// sets groups records by their path, and leaves out what was never captured.
func sets(records iter.Seq2[*record.Record, error]) iter.Seq2[*set, error] {
	return func(yield func(*set, error) bool) {
		var cur *set
		flush := func() bool { return cur == nil || cur.kind == "" || yield(cur, nil) }
		for rec, err := range records {
			if err != nil {
				yield(nil, err)
				return
			}
			if cur == nil || cur.path != rec.Path {
				if !flush() {
					return
				}
				cur = &set{path: rec.Path, recs: map[string]*record.Record{}}
			}
			good := rec
			if rec.State == record.Unreadable {
				good = rec.Last
			}
			if good == nil || good.State != record.Present {
				continue
			}
			cur.recs[rec.Kind] = good
			if rec.Kind == record.KindGit || rec.Kind == record.KindSVN {
				cur.kind = rec.Kind
			}
		}
		flush()
	}
}

// known reports whether the same history and large files of the repository were checked before, and remembers them.
func (s *scratch) known(set *set) bool {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", set.path)
	for _, kind := range []string{set.kind, record.KindLFS} {
		rec := set.recs[kind]
		if rec == nil {
			continue
		}
		for i := range rec.Parts {
			p := &rec.Parts[i]
			fmt.Fprintf(h, "%q %q %q %x\n", p.Kind, p.Base, p.Attrs, partKey(p)) // a map is printed in order of its keys
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	known := s.seen[key]
	s.seen[key] = true
	return known
}

// look compares the newest record with the live repository.
func (s *scratch) look(ctx context.Context, live Looker, set *set) {
	now, err := live.Look(ctx, set.path, set.kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := set.recs[set.kind]
	switch {
	case err != nil:
		s.res.Unseen++
		s.note(vault.Notice, fmt.Sprintf("repository %q", set.path), "could not be compared with its source: %v", err)
	case now["refs"] == rec.Attrs["refs"] && now["youngest"] == rec.Attrs["youngest"] && now["uuid"] == rec.Attrs["uuid"]:
		s.res.Current++
	default:
		s.res.Moved++
	}
}

// check restores one repository and has it checked by its own program. An error ends the verification: it can't go on, or what was restored would fill the disk.
func (s *scratch) check(ctx context.Context, k *vault.Commit, set *set, dir string, older bool) error {
	w := vault.NewWatch(s.reader)
	what := fmt.Sprintf("repository %q as of commit %d", set.path, k.Seq)
	problems, err := s.problems(ctx, w, set, dir)
	left := os.RemoveAll(dir)
	if left != nil {
		left = fmt.Errorf("%s: what was restored to check it can't be removed; remove %s and verify again: %w", what, dir, left)
	}
	return errors.Join(s.conclude(ctx, what, problems, err, w.Failure(), older), left)
}

// conclude notes and counts what came of one repository: problems, what restoring or checking it failed with, and what the vault failed with.
func (s *scratch) conclude(ctx context.Context, what string, problems []string, err, failure error, older bool) error {
	verdict := judge(ctx, err, failure)
	cause := cmp.Or(err, failure)
	switch {
	case verdict == failed:
		return cmp.Or(ctx.Err(), fmt.Errorf("%s: %w", what, failure))
	case verdict == unchecked, verdict == locked:
		s.note(vault.Notice, what, "not checked: %v", cause)
	case verdict == wrong && (err != nil || len(problems) == 0):
		problems = append(problems, cause.Error())
	}
	for _, p := range problems {
		s.note(vault.Damage, what, "%s", p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(problems) > 0:
		s.res.Problems++
	case verdict != fine:
		s.res.Unchecked++
		s.locked = s.locked || verdict == locked
	default:
		s.res.Checked++
		if older {
			s.res.Older++
		}
	}
	return nil
}

// problems restores the repository into dir and returns what that and its check say is not as it was captured.
func (s *scratch) problems(ctx context.Context, parts gitrepo.Parts, set *set, dir string) ([]string, error) {
	if set.kind == record.KindSVN {
		of := svnrepo.Set{SVN: set.recs[record.KindSVN], Sidecar: set.recs[record.KindSidecar]}
		if _, err := svnrepo.Build(ctx, parts, of, dir, svnrepo.Options{}); err != nil { // its notes are no problems
			return nil, err
		}
		return svnrepo.Check(ctx, parts, of, dir)
	}
	of := gitrepo.Set{Git: set.recs[record.KindGit], LFS: set.recs[record.KindLFS], Sidecar: set.recs[record.KindSidecar]}
	built, err := gitrepo.Build(ctx, parts, of, dir, gitrepo.Options{AsStored: true})
	if err != nil {
		return nil, err
	}
	found, err := gitrepo.Check(ctx, parts, of, dir)
	return slices.Concat(built.Problems, found), err
}
