package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// TestReadBackCatches stores with a store that keeps something else than it was given: nothing is committed, and the next pass stores what is damaged anew, even where the
// store then gives what it should.
func TestReadBackCatches(t *testing.T) {
	var other []byte
	flip := func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	lies := map[string]func([]byte) []byte{
		"a bit is flipped":             flip,
		"the object is lost":           func([]byte) []byte { return nil },
		"the object is cut short":      func(b []byte) []byte { return b[:len(b)-100] },
		"another pack is in its place": func([]byte) []byte { return other },
		"it is empty":                  func([]byte) []byte { return []byte{} },
	}
	for name, lie := range lies {
		for _, later := range []string{"stays so", "is put right"} {
			t.Run(name+" and "+later, func(t *testing.T) {
				b := newBackRig(t)
				b.fill("old", 3, 20_000)
				b.mustPass()
				for name, body := range b.store.Objects() {
					if strings.HasPrefix(name, "packs/") {
						other = body
					}
				}
				before := b.head()
				b.fill("fresh", 5, 30_000)
				b.store.keep = func(name string, body []byte) []byte {
					if strings.HasPrefix(name, "packs/") {
						return lie(body)
					}
					return body
				}
				_, err := b.pass()
				b.store.keep = nil
				b.damage(err, slices.Collect(maps.Keys(b.store.lied))...)
				if b.head() != before {
					t.Fatal("a commit was made")
				}
				for name, body := range b.store.lied {
					if later == "is put right" {
						b.store.Set(name, body)
					} else {
						b.store.Remove(name)
					}
				}
				sum := b.mustPass()
				if k := sum.ReadBack; k.Items != 5 || k.OfItems != 5 || k.Bytes != 150_000 || k.OfBytes != 150_000 {
					t.Errorf("read back %+v", k)
				}
				for name := range b.store.lied {
					b.store.Remove(name)
				}
				b.restores()
			})
		}
	}
}

// TestReadBackSegments damages a segment, which the commit would name as well.
func TestReadBackSegments(t *testing.T) {
	b := newBackRig(t)
	b.mustPass()
	before := b.head()
	b.fill("a", 3, 1000)
	b.store.keep = func(name string, body []byte) []byte {
		if strings.HasPrefix(name, "meta/") {
			return body[:len(body)-1]
		}
		return body
	}
	_, err := b.pass()
	b.store.keep = nil
	b.damage(err, slices.Collect(maps.Keys(b.store.lied))...)
	if b.head() != before {
		t.Fatal("a commit was made")
	}
	b.mustPass()
	b.restores()
}

// TestReadBackOff holds that nothing is read where nothing is to be, and that the numbers say so.
func TestReadBackOff(t *testing.T) {
	b := newBackRig(t)
	b.back = vault.ReadBack{}
	b.fill("a", 3, 10_000)
	sum := b.mustPass()
	if k := sum.ReadBack; k.Items != 0 || k.Bytes != 0 || k.OfItems != 3 || k.OfBytes != 30_000 || b.store.packBytes() != 0 {
		t.Errorf("read back %+v, %d bytes of packs", k, b.store.packBytes())
	}
	if c := b.chain(b.open()).Head(); c.ReadBack == nil || *c.ReadBack != sum.ReadBack {
		t.Errorf("the commit says %+v", c.ReadBack)
	}
	if k := b.mustPass().ReadBack; k != (record.ReadBack{}) {
		t.Errorf("nothing is new, and %+v", k)
	}
}

// TestReadBackDenied reads nothing back where the credential may read no packs, and takes it for damage where it may read some.
func TestReadBackDenied(t *testing.T) {
	b := newBackRig(t)
	b.fill("a", 3, 10_000)
	asked := 0
	b.store.deny = func(name string) bool {
		if strings.HasPrefix(name, "packs/") {
			asked++
			return true
		}
		return false
	}
	sum, err := b.replicate(context.Background(), b.src, agent.Options{CommitEvery: 1, Captures: 1})
	must(t, err)
	if k := sum.ReadBack; k.Items != 0 || k.Bytes != 0 || k.OfItems != 3 || k.OfBytes != 30_000 || asked > 2 {
		t.Errorf("read back %+v, asked %d times", k, asked)
	}
	if !slices.ContainsFunc(sum.Notices, func(f vault.Finding) bool {
		return f.Severity == vault.Notice && strings.Contains(f.Text, "may not read packs")
	}) {
		t.Errorf("notices: %+v", sum.Notices)
	}
	before := b.head()
	b.src.put("large", noise(5, 48<<20)) // of two packs
	first := ""
	b.store.deny = func(name string) bool {
		if !strings.HasPrefix(name, "packs/") {
			return false
		}
		if first == "" {
			first = name
		}
		return name != first
	}
	sum, err = b.pass()
	var d *vault.DamageError
	if !errors.As(err, &d) || !strings.HasPrefix(d.Object, "packs/") || d.Object == first {
		t.Errorf("got %v, %+v", err, sum)
	}
	b.store.deny = nil
	b.mustPass()
	b.restores()
	if b.head() <= before {
		t.Error("nothing was committed")
	}
}

// TestReadBackDeduplicated counts what rests on earlier packs in part as not read back, and what rests on those alone not at all.
func TestReadBackDeduplicated(t *testing.T) {
	b := newBackRig(t)
	old := noise(7, 9<<20)
	b.src.put("old", old)
	b.mustPass()
	b.src.put("copy", old)
	b.src.put("longer", slices.Concat(old, noise(8, 9<<20)))
	b.src.put("new", noise(9, 1<<20))
	sum := b.mustPass()
	if k := sum.ReadBack; k.Items != 1 || k.Bytes != 1<<20 || k.OfItems != 2 || k.OfBytes != 19<<20 {
		t.Errorf("read back %+v", k)
	}
	b.restores()
}

// TestReadBackAdopted counts what an earlier run stored and did not commit as not read back: its file keys are gone.
func TestReadBackAdopted(t *testing.T) {
	b := newBackRig(t)
	b.fill("a", 4, 50_000)
	b.mustPass()
	b.fill("bb", 4, 50_000)
	b.store.refuse = func(name string) bool { return strings.HasPrefix(name, "commits/") }
	if _, err := b.pass(); providers.KindOf(err) != providers.Full {
		t.Fatal(err)
	}
	b.store.refuse = nil
	b.fill("ccc", 2, 50_000)
	sum := b.mustPass()
	if k := sum.ReadBack; k.OfItems != 6 || k.OfBytes != 300_000 || k.Items != 2 || k.Bytes != 100_000 {
		t.Errorf("read back %+v", k)
	}
	b.restores()
}

// TestReadBackShare reads a share of many items, and not much more than that from the store.
func TestReadBackShare(t *testing.T) {
	for i := range 5 {
		b := newBackRig(t)
		b.back = vault.ReadBack{Share: 0.1, Least: 1 << 20, Run: 256 << 10}
		n, want := 400, int64(2<<20) // 20 MiB in all
		if i > 2 {
			n, want = 100, 1<<20 // 5 MiB in all: what is read at the least
		}
		b.fill("a", n, 50<<10)
		k := b.mustPass().ReadBack
		if k.OfItems != int64(n) || k.OfBytes != int64(n)*50<<10 || k.Bytes != k.Items*50<<10 {
			t.Errorf("read back %+v", k)
		}
		// Each run ends with an item that may reach beyond it, or be left out.
		if slack := int64(5 * 50 << 10); k.Bytes < want-2*slack || k.Bytes > want+2*slack {
			t.Errorf("read back %d bytes, want about %d", k.Bytes, want)
		}
		b.restores()
	}
}

// TestReadBackInterrupted commits what is whole when a pass is interrupted, without reading all of it back.
func TestReadBackInterrupted(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("the store hangs: ", hangs), func(t *testing.T) {
			b := newBackRig(t)
			b.back.Grace, b.back.GraceBytes = time.Hour, 100_000
			if hangs {
				b.back.Grace, b.back.GraceBytes = time.Millisecond, 1<<30
				b.store.hang = true
			}
			b.fill("a", 20, 40_000)
			ctx := b.interruptedAt("a/015")
			sum, err := b.replicate(ctx, b.src, agent.Options{Captures: 1})
			if !errors.Is(err, context.Canceled) || sum.Commits != 1 {
				t.Fatalf("%d commits, %v", sum.Commits, err)
			}
			k := sum.ReadBack
			if k.OfItems < 10 || k.Bytes > 100_000 || hangs && k.Bytes > 0 || !hangs && k.Bytes != 80_000 {
				t.Errorf("read back %+v", k)
			}
			b.src.onCapture, b.store.hang = nil, false
			b.mustPass()
			b.restores()
		})
	}
}

// TestReadBackStoreFails takes a store that does not answer for what it is: the pass ends without a commit, and nothing counts as damaged.
func TestReadBackStoreFails(t *testing.T) {
	b := newBackRig(t)
	b.bucket = providers.New(b.store, providers.Options{Attempts: 1})
	b.fill("a", 3, 10_000)
	b.store.deny = nil
	away := &failing{untrue: b.store}
	b.bucket = providers.New(away, providers.Options{Attempts: 1})
	_, err := b.pass()
	var d *vault.DamageError
	if err == nil || errors.As(err, &d) || providers.KindOf(err) != providers.Temporary {
		t.Fatalf("got %v", err)
	}
	packs := len(b.store.packs())
	b.bucket = providers.New(b.store, providers.Options{})
	b.mustPass()
	if n := len(b.store.packs()); n != packs {
		t.Errorf("%d packs after the second pass, %d before: they were not adopted", n, packs)
	}
	b.restores()
}
