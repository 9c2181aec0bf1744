package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"farshore/agent/record"
)

// fact is what a map of names would have of an object.
type fact struct {
	state                        State
	size                         int64
	judged, intact, named, hides bool
	version                      string
}

// TestTable holds that a table says of names what a plain map of them does, whatever is learnt of them in whatever order.
func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	got, want := newTable(), map[string]*fact{}
	for range 20_000 {
		var name record.Hash
		name[0], name[31] = byte(rnd.IntN(8)), byte(rnd.IntN(64)) // many begin alike
		path := pathOf(name, rnd.IntN(2) == 0)
		f := want[path]
		if f == nil {
			f = new(fact)
			want[path] = f
		}
		switch size := int64(rnd.IntN(3)); rnd.IntN(4) {
		case 0:
			e := Examined{State: State(rnd.IntN(int(Unread) + 1)), Size: size, Version: []string{"", "1"}[rnd.IntN(2)]}
			got.judge(path, &e)
			*f = fact{state: e.State, size: size, judged: true, intact: e.State == Intact, hides: f.hides, version: e.Version}
		case 1:
			got.set(path, told)
			f.hides = true
		default:
			was := got.need(path, size)
			if was.is&judged != 0 != f.judged || was.is&intact != 0 != f.intact || f.judged && int64(was.size) != f.size {
				t.Fatalf("%s: needed with %d bytes, it was %+v, want %+v", path, size, was, f)
			}
			if !f.judged {
				f.judged, f.size = true, size
			}
			f.intact, f.named = f.intact && f.size == size, true
		}
		o := got.get(path)
		version, known := got.version(path)
		now := fact{State(o.state), int64(o.size), o.is&judged != 0, o.is&intact != 0, o.is&named != 0, o.is&told != 0, version}
		if now != *f || !known {
			t.Fatalf("%s: %+v, want %+v", path, now, f)
		}
	}
	var n, size int64
	for _, f := range want {
		if f.intact && !f.named {
			n, size = n+1, size+f.size
		}
	}
	if gotN, gotSize := got.unnamed(); gotN != n || gotSize != size || n == 0 {
		t.Errorf("%d unnamed of %d bytes, want %d of %d", gotN, gotSize, n, size)
	}
}

// TestLargeSizes holds that an object which is larger than any that is read never has the size of one that is.
func TestLargeSizes(t *testing.T) {
	tab := newTable()
	tab.judge("packs/small", &Examined{Size: 7})
	if tab.need("packs/small", 1<<32+7); tab.get("packs/small").is&intact != 0 {
		t.Error("sizes that differ by 4 GiB count as one")
	}
	tab.need("packs/none", -1)
	if o := tab.get("packs/none"); o.size != 0 || o.is != judged|absent|named {
		t.Errorf("%+v", o)
	}
}

// TestVersionsBounded holds that however many names have several versions, a bounded number of ids is held, and that no lock is asked for of a version that may be the wrong one.
func TestVersionsBounded(t *testing.T) {
	r := &run{stored: newTable()}
	name := func(i int) string { return fmt.Sprint("packs/", i) }
	for i := range maxVersions + 100 {
		r.stored.judge(name(i), &Examined{Version: "the first"})
	}
	r.stored.judge(name(3), &Examined{Version: "another"})
	if n := len(r.stored.versions); n != maxVersions {
		t.Errorf("%d ids are held", n)
	}
	if id, known := r.stored.version(name(3)); id != "another" || !known {
		t.Errorf("%q, %v", id, known)
	}
	if _, err := r.lockOf(context.Background(), name(maxVersions+1)); !errors.Is(err, errForgotten) {
		t.Errorf("the lock of a name whose right version is not known: %v", err)
	}
	r.stored.judge(name(3), &Examined{Plain: true})
	if id, known := r.stored.version(name(3)); id != "" || !known || len(r.stored.versions) != maxVersions-1 {
		t.Errorf("a name with one version: %q, %v, %d held", id, known, len(r.stored.versions))
	}
}

// TestPartsBounded holds that however many parts are lost, a bounded number of them and of reasons is held, and each is still known as lost.
func TestPartsBounded(t *testing.T) {
	p := newParts()
	part := func(i int) (k [16]byte) {
		k[0], k[1], k[2] = byte(i), byte(i>>8), byte(i>>16)
		return k
	}
	for i := range maxSeen + 10 {
		if again, lost, _ := p.check(part(i)); again || lost {
			t.Fatalf("part %d: %v, %v at first sight", i, again, lost)
		}
		p.lose(part(i), "why")
	}
	if len(p.lost) != maxSeen || len(p.why) != maxFindings {
		t.Errorf("%d parts and %d reasons are held", len(p.lost), len(p.why))
	}
	for _, c := range []struct {
		i           int
		again, lost bool
		why         string
	}{{0, true, true, "why"}, {maxFindings - 1, true, true, "why"}, {maxFindings, true, true, ""}, {maxSeen - 1, true, true, ""}, {maxSeen, false, false, ""}} {
		if again, lost, why := p.check(part(c.i)); again != c.again || lost != c.lost || why != c.why {
			t.Errorf("part %d: %v, %v, %q", c.i, again, lost, why)
		}
	}
}
