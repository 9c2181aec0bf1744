package state

import (
	"slices"
	"testing"

	"farshore/agent/record"
)

// TestMarkDamaged remembers damage across a restart, for each domain on its own, and forgets where the chunks of such packs are.
func TestMarkDamaged(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Vault: hash(9)})
	must(t, err)
	bad := Pack{Name: hash(1), Size: 100, Chunks: []record.TableChunk{{Name: hash(11), Length: 10}}}
	good := Pack{Name: hash(2), Size: 100, Chunks: []record.TableChunk{{Name: hash(12), Length: 10}}}
	must(t, s.AddPack(domainA, bad, false))
	must(t, s.AddPack(domainA, good, false))
	must(t, s.AddPack(domainB, bad, false))
	must(t, s.MarkDamaged(domainA, []record.Hash{bad.Name, hash(3)}))
	must(t, s.MarkDamaged(domainA, nil))
	must(t, s.Close())
	s, err = Open(dir, Options{Vault: hash(9)})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	names, err := s.Damaged(domainA)
	must(t, err)
	if len(names) != 2 || !slices.Contains(names, bad.Name) || !slices.Contains(names, hash(3)) {
		t.Errorf("damaged: %v", names)
	}
	if names, err = s.Damaged(domainB); err != nil || len(names) != 0 {
		t.Errorf("of the other domain: %v, %v", names, err)
	}
	for _, tt := range []struct {
		domain string
		chunk  record.Hash
		want   bool
	}{{domainA, hash(11), false}, {domainA, hash(12), true}, {domainB, hash(11), true}} {
		if _, found, err := s.Lookup(tt.domain, tt.chunk); err != nil || found != tt.want {
			t.Errorf("chunk %v of %s is known: %v, %v", tt.chunk, tt.domain, found, err)
		}
	}
	open, err := s.Uncommitted(domainA)
	must(t, err)
	if len(open) != 1 || open[0].Name != good.Name {
		t.Errorf("uncommitted: %v", open)
	}
	must(t, s.Reset(domainA))
	if names, err = s.Damaged(domainA); err != nil || len(names) != 0 {
		t.Errorf("after a reset: %v, %v", names, err)
	}
}
