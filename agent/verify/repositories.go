package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/repo/tempdir"
	"farshore/agent/vault"
	"farshore/agent/verify/repos"
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
	known := s.res.Current + s.res.Moved
	err = s.snapshot(ctx, newest, false, s.o.Live[c.Source.Name])
	s.run.res.Answered[c.Source.Name] = s.res.Current+s.res.Moved > known
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
	for set, err := range repos.Sets(snap.Records(gctx, "", "")) {
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

// known reports whether the same history and large files of the repository were checked before, and remembers them.
func (s *scratch) known(set *repos.Set) bool {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", set.Path)
	for _, kind := range []string{set.Kind, record.KindLFS} {
		rec := set.Recs[kind]
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
func (s *scratch) look(ctx context.Context, live Looker, set *repos.Set) {
	now, err := live.Look(ctx, set.Path, set.Kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.res.Unseen++
		s.note(vault.Notice, fmt.Sprintf("repository %q", set.Path), "could not be compared with its source: %v", err)
	case set.Current(now):
		s.res.Current++
	default:
		s.res.Moved++
	}
}

// check restores one repository and has it checked by its own program. An error ends the verification: it can't go on, or what was restored would fill the disk.
func (s *scratch) check(ctx context.Context, k *vault.Commit, set *repos.Set, dir string, older bool) error {
	what := fmt.Sprintf("repository %q as of commit %d", set.Path, k.Seq)
	out, err := repos.Check(ctx, s.reader, set, dir)
	if ctx.Err() == nil && err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	if out.Unchecked != nil {
		s.note(vault.Notice, what, "not checked: %v", out.Unchecked)
	}
	for _, p := range out.Problems {
		s.note(vault.Damage, what, "%s", p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(out.Problems) > 0:
		s.res.Problems++
	case out.Unchecked != nil:
		s.res.Unchecked++
		s.locked = s.locked || out.Locked
	case out.Done:
		s.res.Checked++
		if older {
			s.res.Older++
		}
	}
	return err
}
