package intruder

import (
	"errors"
	"os"
	"slices"
	"testing"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
)

// mark is what a reader that has seen a snapshot remembers of it.
func (w snapshot) mark() vault.Seen { return vault.Seen{Chain: w.chain, Seq: w.seq, Hash: w.hash} }

// rolledBack holds that a reader with the mark refuses the chain and that verification names it, also by a mark that a person wrote down; and that the agent stops.
func (s *scene) rolledBack(seen snapshot, words string) {
	s.t.Helper()
	byHand, err := vault.ParseSeen(seen.mark().String()[:20])
	must(s.t, err)
	c, err := s.open(s.at.restorer(), seen.mark()).Chain(s.ctx, seen.chain)
	must(s.t, err)
	if !errors.Is(c.RolledBack, vault.ErrRolledBack) {
		s.t.Errorf("a reader that has seen commit %d takes a chain that ends with %d: %v", seen.seq, len(c.Commits), c.RolledBack)
	}
	s.says(s.after(seen.mark()), vault.Tampering, "commits/"+seen.chain, words)
	s.says(s.after(byHand), vault.Tampering, "commits/", "was seen")
	s.change()
	if err := s.replicate(); !errors.Is(err, vault.ErrRolledBack) {
		s.t.Errorf("the agent, whose chain was rolled back: %v", err)
	}
}

// TestRollback takes the newest commits away in a directory, where nothing keeps a thief from it, in three ways. Who has seen more refuses what is left; who has not can't
// know, and that is said here too. What the thief did not take is restored.
func TestRollback(t *testing.T) {
	t.Run("the newest commit removed", func(t *testing.T) {
		s := newScene(t, onDirectory(t))
		gone := s.pop()
		must(t, s.at.thief.remove(record.CommitName(gone.chain, gone.seq)))
		if res := s.after(); !res.OK() || res.Markers > 0 {
			t.Errorf("without a mark something is noticed after all: %v", res.Findings)
		}
		s.rolledBack(gone, "the chain ends with commit")
		s.replaceAgent()
		s.after()
	})
	t.Run("another body in the newest commit's place", func(t *testing.T) {
		s := newScene(t, onDirectory(t))
		gone := s.pop()
		c := s.commit(gone.seq)
		c.Root, c.List, c.Counts = s.commit(1).Root, s.commit(1).List, record.Counts{}
		must(t, s.at.thief.put(record.CommitName(gone.chain, gone.seq), s.signed(c, s.agent.key)))
		s.rolledBack(gone, "in its place")
		s.replaceAgent()
		s.after()
	})
	t.Run("the whole directory set back", func(t *testing.T) {
		s := newScene(t, onDirectory(t))
		root := s.at.thief.(fileThief).root
		old := t.TempDir()
		must(t, os.CopyFS(old, os.DirFS(root)))
		s.change()
		must(t, s.replicate())
		gone := s.pop()
		for _, name := range s.at.thief.names() {
			must(t, s.at.thief.remove(name))
		}
		must(t, copyOver(s, old))
		s.rolledBack(gone, "the chain ends with commit")
	})
}

// copyOver puts the files of a directory back.
func copyOver(s *scene, from string) error {
	for _, name := range (fileThief{s.t, from}).names() {
		b, err := os.ReadFile(fileThief{s.t, from}.path(name))
		if err != nil {
			return err
		}
		if err := s.at.thief.put(name, b); err != nil {
			return err
		}
	}
	return nil
}

// pop takes the newest snapshot from those that must be restored: the store did not keep it.
func (s *scene) pop() snapshot {
	gone := s.last()
	s.want = s.want[:len(s.want)-1]
	return gone
}

// TestHidden hides every object of a vault from plain reads, newest commits included, on stores that keep versions: readers see through, and no mark is missed. Where the
// store refuses that, it is recorded.
func TestHidden(t *testing.T) {
	onEach(t, func(t *testing.T, at *place) {
		if at.removals == lost {
			t.Skip("whoever may write to this store may remove what it holds: see TestRollback for what readers notice there")
		}
		s := newScene(t, at)
		s.hide(at.thief.names())
	})
}

// hide removes the names as far as the store lets the thief.
func (s *scene) hide(names []string) {
	s.t.Helper()
	hidden := 0
	for _, name := range names {
		err := s.at.thief.remove(name)
		if err == nil {
			hidden++
		} else if !s.at.thief.denied(err) {
			s.t.Fatalf("%s: %v is neither leave nor a refusal", name, err)
		}
	}
	res := s.after(s.last().mark())
	if s.at.removals == refused {
		if hidden > 0 {
			s.t.Errorf("%d names were removed", hidden)
		}
		s.clean(res)
		return
	}
	if hidden != len(names) {
		s.t.Errorf("%d of %d names were hidden", hidden, len(names))
	}
	s.tamperedEach(res, names)
	s.change()
	must(s.t, s.replicate())
	s.restoredAll(s.last().mark())
}

// tamperedEach holds that something is said of each name.
func (s *scene) tamperedEach(res *verify.Result, names []string) {
	s.t.Helper()
	for _, name := range names {
		if !slices.ContainsFunc(res.Findings, func(f vault.Finding) bool { return f.Object == name && f.Severity == vault.Tampering }) {
			s.t.Errorf("nothing is said of %s: %v", name, res.Findings)
		}
	}
}
