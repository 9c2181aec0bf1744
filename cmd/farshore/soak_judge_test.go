package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/repos"
	"farshore/agent/vault"
)

// soakSlack is how far the times of the model, of commits and of the log may be apart: they are of one clock, and commits' are whole seconds.
const soakSlack = 1500 * time.Millisecond

// reading opens the vault as a bare machine does, with the recovery key, and reads its chains. There is one chain a source, without findings.
func (s *soak) reading(do func(ctx context.Context, v *vault.Vault, chains []*vault.Chain) error) {
	s.t.Helper()
	ctx, cancel := soakContext(s.t, 30*time.Minute)
	defer cancel()
	e, _, stderr := testEnv(s.t)
	e.flags.vault, e.flags.identities = s.store.url("vault-of-all", "v"), []string{s.path("kit", "recovery.key")}
	a, err := e.access()
	if err != nil {
		s.t.Fatal(err)
	}
	err = e.withVault(ctx, a, func(v *vault.Vault) error {
		chains, err := e.chains(ctx, v)
		if err != nil {
			return err
		}
		if f := v.Findings(); len(f) > 0 {
			s.t.Errorf("findings in the vault: %v", f)
		}
		s.oneEach(chains)
		return do(ctx, v, chains)
	})
	if err != nil || stderr.Len() > 0 {
		s.t.Errorf("reading the vault: %v\n%s", err, stderr)
	}
}

// oneEach holds chains to be one a source, with no findings.
func (s *soak) oneEach(chains []*vault.Chain) {
	s.t.Helper()
	seen := map[string]bool{}
	for _, c := range chains {
		if seen[c.Source.Name] || c.Source.Name == "" {
			s.t.Errorf("another chain of %q: %s", c.Source.Name, c.ID)
		}
		// A source that fails has a chain, which begins with an empty commit, and never another one.
		if c.Source.Name == ghost && len(c.Commits) > 1 {
			s.t.Errorf("%d commits of a source that always fails", len(c.Commits))
		}
		seen[c.Source.Name] = true
		if len(c.Findings) > 0 || c.Revoked || c.RolledBack != nil {
			s.t.Errorf("the chain of %s: %v, %v", c.Source.Name, c.Findings, c.RolledBack)
		}
	}
}

// judge restores every snapshot that was ever committed, and holds it to what was at its source.
func (s *soak) judge() {
	s.t.Helper()
	begin, runs := time.Now(), s.runs()
	var n int
	s.reading(func(ctx context.Context, v *vault.Vault, chains []*vault.Chain) error {
		for _, c := range chains {
			var complete time.Time
			for _, k := range c.Commits {
				pass := s.passOf(c.Source.Name, k.Time, complete, runs)
				if k.Complete {
					complete = k.Time
				}
				if _, err := s.snapshot(ctx, v, k, c.Source.Name, pass); err != nil {
					return fmt.Errorf("snapshot %d of %s: %w", k.Seq, c.Source.Name, err)
				}
				n++
			}
		}
		return nil
	})
	s.say("%d snapshots restored in %s", n, time.Since(begin).Round(time.Second))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count["snapshots restored in the last judgement"] = int64(n)
}

// passOf is the time of the pass that committed at that time: as the log has it, and in any case after the complete commit before, which is the last one of its pass.
func (s *soak) passOf(source string, at, complete time.Time, runs []*soakRun) soakSpan {
	near := soakSpan{at.Add(-soakSlack), at.Add(soakSlack)}
	begin := at
	found := false
	for _, r := range runs {
		if r.job == passJob(source) && r.span.meets(near) {
			found = true
			if r.span.from.Before(begin) {
				begin = r.span.from
			}
		}
	}
	if !found {
		s.t.Errorf("a commit of %s at %s was made by no run of the log", source, at)
		begin = complete
	}
	return soakSpan{begin.Add(-soakSlack), near.until}
}

// snapshot restores one, and returns what it has: contents by path, or one repository's refs.
func (s *soak) snapshot(ctx context.Context, v *vault.Vault, k *vault.Commit, source string, pass soakSpan) (soakHas, error) {
	snap, err := v.Snapshot(ctx, k)
	if err != nil {
		return soakHas{}, err
	}
	doubtful := map[string]bool{}
	for rec, err := range snap.Prefix(ctx, "") {
		if err != nil {
			return soakHas{}, err
		}
		if rec.State != record.Present {
			doubtful[rec.Path] = true
		}
	}
	var has soakHas
	var wrong []string
	if holdsRepositories(snap) {
		has.refs, wrong, err = s.repository(ctx, v, snap, pass, len(doubtful) > 0 || !k.Complete)
	} else {
		i := slices.IndexFunc(s.buckets, func(b *soakBucket) bool { return b.name == source })
		target := &soakTarget{got: map[string][sha256.Size]byte{}}
		var sum *restore.Summary
		if sum, err = restore.Run(ctx, snap, v.NewReader(), target, restore.Options{}); err == nil {
			err = soakWhole(sum, len(doubtful) > 0)
		}
		has.items = target.got
		if source == ghost {
			wrong = slices.Collect(maps.Keys(target.got))
		} else {
			wrong = s.buckets[i].judge(target.got, doubtful, pass, k.Complete)
		}
	}
	s.did(fmt.Sprintf("snapshots judged, complete %v", k.Complete))
	if len(wrong) > 0 {
		const most = 8
		s.t.Errorf("snapshot %d of %s of %s (complete %v), by a pass from %s to %s, %d of %d wrong:\n%s", k.Seq, source, k.Time, k.Complete, pass.from, pass.until, len(wrong), len(has.items),
			strings.Join(wrong[:min(len(wrong), most)], "\n"))
	}
	return has, err
}

// soakHas is what a snapshot has: one of the two.
type soakHas struct {
	items map[string][sha256.Size]byte
	refs  map[string]string
}

// soakWhole says what a restore did not restore.
func soakWhole(sum *restore.Summary, doubtful bool) error {
	switch {
	case sum.Damaged.Items+sum.Failed.Items+sum.Differs.Items > 0:
		return fmt.Errorf("not restored: damaged %v, failed %v", sum.Damaged, sum.Failed)
	case sum.Unrestorable.Items+sum.Earlier.Items > 0 && !doubtful:
		return fmt.Errorf("earlier %v, unrestorable %v, and all records are present", sum.Earlier, sum.Unrestorable)
	}
	return nil
}

// repository restores the one repository of a snapshot to a directory.
func (s *soak) repository(ctx context.Context, v *vault.Vault, snap *vault.Snapshot, pass soakSpan, doubtful bool) (refs map[string]string, wrong []string, err error) {
	dir := s.path("restored", "repository")
	sum, err := repos.Run(ctx, snap, v.NewReader(), repos.Destination{Dir: dir}, repos.Options{As: repos.AsRepository})
	if err != nil {
		return nil, nil, err
	}
	if err := soakWhole(sum, doubtful); err != nil {
		return nil, nil, err
	}
	found := soakRepository(s.t, dir)
	switch {
	case found != "":
		refs, wrong = s.code.judge(found, pass, doubtful)
	case !doubtful:
		wrong = []string{"there is no repository"}
	}
	return refs, wrong, os.RemoveAll(dir)
}

// equal holds the newest snapshot of each source to be what is there now.
func (s *soak) equal() {
	s.t.Helper()
	s.reading(func(ctx context.Context, v *vault.Vault, chains []*vault.Chain) error {
		if want := len(s.sources()); len(chains) != want {
			s.t.Errorf("%d chains, not %d", len(chains), want)
		}
		for _, c := range chains {
			if c.Source.Name == ghost {
				continue
			}
			k := c.Head()
			if !k.Complete {
				s.t.Errorf("the newest snapshot of %s is not complete", c.Source.Name)
			}
			has, err := s.snapshot(ctx, v, k, c.Source.Name, soakSpan{k.Time.Add(-soakSlack), k.Time.Add(soakSlack)})
			if err != nil {
				return err
			}
			s.same(c.Source.Name, has)
		}
		return nil
	})
}

// same holds what a snapshot has to be what the source has now.
func (s *soak) same(source string, has soakHas) {
	s.t.Helper()
	for _, b := range s.buckets {
		if want := b.now(); b.name == source && !maps.Equal(want, has.items) {
			s.t.Errorf("%s: restored %d items, which are not the %d that there are", source, len(has.items), len(want))
		}
	}
	if want := s.code.now(); (source == "code" || source == "tree") && !maps.Equal(want, has.refs) {
		s.t.Errorf("%s: restored %v, not %v", source, has.refs, want)
	}
}

// commands restores the newest snapshot of each source with the command itself, to directories, and has everything verified.
func (s *soak) commands() {
	s.t.Helper()
	bare := func(args ...string) []string {
		return append(args, "--vault", s.store.url("vault-of-all", "v"), "--identity", s.path("kit", "recovery.key"))
	}
	for _, source := range s.sources() {
		if source == ghost {
			continue
		}
		// Suspicious snapshots are passed over where nobody says when, so that the number is said.
		var list snapshotsResult
		s.json(&list, bare("snapshots", source)...)
		newest := list.Chains[0].Snapshots[len(list.Chains[0].Snapshots)-1].Seq
		to := s.path("restored", source)
		s.rig.run(bare("restore", "--source", source, "--at", fmt.Sprint(newest), "--to", to)...).ends(exitDone)
		if dir := soakRepository(s.t, to); dir != "" {
			sameRefs(s.t, s.code.repo, dir)
			continue
		}
		got := map[string][sha256.Size]byte{}
		for path, body := range files(s.t, to) {
			got[path] = sha256.Sum256([]byte(body))
		}
		s.same(source, soakHas{items: got})
	}
	s.rig.run(bare("verify", "--full")...).ends(exitDone)
	s.did("verify --full")
}

// soakTarget takes the hash of each item that is restored, and drops it.
type soakTarget struct {
	mu  sync.Mutex
	got map[string][sha256.Size]byte
}

func (*soakTarget) Look(context.Context, *restore.Item) (restore.Found, error) {
	return restore.Found{State: restore.Absent}, nil
}

func (t *soakTarget) Write(_ context.Context, it *restore.Item, _ bool, body restore.Body) (restore.Written, error) {
	var b bytes.Buffer
	if err := body(&b); err != nil {
		return restore.Written{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, twice := t.got[it.Path]; twice {
		return restore.Written{}, errors.New("it is there already: " + it.Path)
	}
	t.got[it.Path] = sha256.Sum256(b.Bytes())
	return restore.Written{}, nil
}

func (*soakTarget) Flush(context.Context) error { return nil }

var _ restore.Target = (*soakTarget)(nil)

// soakGrew reports that one of the daemon's figures grew by more than it may.
func soakGrew(t *testing.T, what string, early, late, most int64) {
	t.Helper()
	if late > early+most {
		t.Errorf("%s: %d early, %d late: more than %d more", what, early, late, most)
	}
}
