package intruder

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/vault"
	"farshore/agent/verify"
)

// after is asked behind each attack: everything that was restorable before is restored, byte for byte, by whoever has the recovery key; and it returns what the next
// verification says, which has looked at all that there is.
func (s *scene) after(marks ...vault.Seen) *verify.Result {
	s.t.Helper()
	s.restoredAll(marks...)
	return s.verified(marks...)
}

// restoredAll restores every snapshot, the newest to a directory, and compares all of it.
func (s *scene) restoredAll(marks ...vault.Seen) {
	s.t.Helper()
	v := s.open(s.at.restorer(), marks...)
	for i, want := range s.want {
		c, err := v.Chain(s.ctx, want.chain)
		must(s.t, err)
		k := c.Number(want.seq)
		if k == nil || k.Hash != want.hash {
			s.t.Fatalf("commit %d of chain %s no longer counts: %v", want.seq, want.chain, c.Findings)
		}
		snap, err := v.Snapshot(s.ctx, k)
		must(s.t, err)
		if i < len(s.want)-1 {
			kept := &kept{items: map[string][32]byte{}}
			s.restored(snap, v.NewReader(), kept, want)
			s.same(want, kept.items)
			continue
		}
		to := filepath.Join(s.t.TempDir(), "restored")
		target, err := dir.Open(to, dir.Options{})
		must(s.t, err)
		s.restored(snap, v.NewReader(), target, want)
		must(s.t, target.Close())
		s.same(want, files(s, to))
	}
}

// restored restores one snapshot to a target that is empty.
func (s *scene) restored(snap *vault.Snapshot, reader *vault.Reader, target restore.Target, want snapshot) {
	s.t.Helper()
	sum, err := restore.Run(s.ctx, snap, reader, target, restore.Options{})
	must(s.t, err)
	if sum.Damage() || sum.Incomplete() || sum.Restored.Items != int64(len(want.items)) {
		s.t.Fatalf("commit %d: %d of %d items were restored: %+v", want.seq, sum.Restored.Items, len(want.items), sum)
	}
}

func (s *scene) same(want snapshot, got map[string][32]byte) {
	s.t.Helper()
	if !maps.Equal(got, want.items) {
		s.t.Fatalf("commit %d: what was restored is not what was replicated: %d items, and there were %d", want.seq, len(got), len(want.items))
	}
}

// kept is a target that keeps the hashes of what is restored to it.
type kept struct {
	mu    sync.Mutex
	items map[string][32]byte
}

func (k *kept) Look(context.Context, *restore.Item) (restore.Found, error) {
	return restore.Found{State: restore.Absent}, nil
}

func (k *kept) Write(_ context.Context, it *restore.Item, _ bool, body restore.Body) (restore.Written, error) {
	h := sha256.New()
	if err := body(h); err != nil {
		return restore.Written{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.items[it.Path] = [32]byte(h.Sum(nil))
	return restore.Written{}, nil
}

func (k *kept) Flush(context.Context) error { return nil }

// files are the hashes of all regular files below a directory, by their paths.
func files(s *scene, root string) map[string][32]byte {
	s.t.Helper()
	out := map[string][32]byte{}
	must(s.t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		out[filepath.ToSlash(name)] = sha256.Sum256(content)
		return err
	}))
	return out
}

// verified is a whole verification with the auditor's credential, and the recovery key so that it puts the items together too.
func (s *scene) verified(marks ...vault.Seen) *verify.Result {
	s.t.Helper()
	res, err := verify.Full(s.ctx, s.open(s.at.auditor(), marks...), verify.Options{Items: true})
	must(s.t, err)
	if res.Snapshots < int64(len(s.want)) {
		s.t.Errorf("verification finds %d whole snapshots, and %d were made: %v", res.Snapshots, len(s.want), res.Findings)
	}
	return res
}

// says holds that a verification found something of that severity about the object, in these words.
func (s *scene) says(res *verify.Result, severity vault.Severity, object string, words ...string) {
	s.t.Helper()
	var said []string
	for _, f := range res.Findings {
		if f.Severity == severity && strings.HasPrefix(f.Object, object) {
			said = append(said, f.Text)
		}
	}
	all := strings.Join(said, "\n")
	if len(said) == 0 {
		s.t.Errorf("no %s is told of %q: %v", severity, object, res.Findings)
		return
	}
	for _, w := range words {
		if !strings.Contains(all, w) {
			s.t.Errorf("of %q %q is not said, but %q", object, w, all)
		}
	}
}

// clean holds that a verification found nothing.
func (s *scene) clean(res *verify.Result) {
	s.t.Helper()
	if !res.OK() || res.Markers > 0 {
		s.t.Errorf("verification finds %d damaged, %d tampered, %d markers where the store refused everything: %v", res.Damaged, res.Tampered, res.Markers, res.Findings)
	}
}
