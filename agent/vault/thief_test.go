package vault_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
)

// attacks are what a thief does to one name, with a credential that may overwrite and hide and can't remove a version.
var attacks = []struct {
	name string
	do   func(r *rig, name string)
	say  []string // what is said of it
	few  bool     // of each kind of object one is enough
}{
	{"garbage", func(r *rig, name string) { r.store.Set(name, noise(99, len(r.original(name)))) }, []string{"overwritten at ", `by "thief"`}, false},
	{"large garbage", func(r *rig, name string) { r.store.Set(name, make([]byte, providers.MaxObject+1)) }, []string{"overwritten at ", "67108865 bytes"}, true},
	{"emptied", func(r *rig, name string) { r.store.Set(name, nil) }, []string{"overwritten at ", "with 0 bytes"}, true},
	{"cut short", func(r *rig, name string) {
		b := r.original(name)
		r.store.Set(name, b[:len(b)*2/3])
	}, []string{"overwritten at "}, false},
	{"another object's bytes", func(r *rig, name string) { r.store.Set(name, r.neighbour(name)) }, []string{"overwritten at "}, false},
	{"hidden", func(r *rig, name string) { r.store.Hide(name) }, []string{"a delete marker of ", `by "thief"`, "lies over it"}, false},
	{"hidden twice and rewritten", func(r *rig, name string) {
		r.store.Hide(name)
		r.store.Hide(name)
		r.store.Set(name, []byte("mine"))
	}, []string{"a delete marker of ", "overwritten at ", "with 4 bytes"}, false},
	{"rewritten as it was", func(r *rig, name string) {
		r.store.Hide(name)
		r.store.Set(name, r.original(name))
	}, []string{"a delete marker of "}, true},
	{"flooded", func(r *rig, name string) {
		for range providers.MaxHistory + 10 {
			r.store.Set(name, []byte("junk"))
		}
	}, []string{"overwritten at ", "11 more versions"}, true},
}

// neighbour returns the bytes of another object of the same kind and, where there is one, of the same size: of a pack, one that opens with the same key.
func (r *rig) neighbour(name string) []byte {
	room, _, _ := strings.Cut(name, "/")
	mine := r.original(name)
	var other []byte
	for _, n := range r.names() {
		if n == name || !strings.HasPrefix(n, room+"/") {
			continue
		}
		if b := r.original(n); other == nil || len(b) == len(mine) {
			other = b
		}
	}
	if other == nil {
		return []byte("there is no other")
	}
	return other
}

// oneOfEach returns the last name of each room.
func oneOfEach(names []string) (out []string) {
	for i, n := range names {
		room, _, _ := strings.Cut(n, "/")
		if i+1 == len(names) || !strings.HasPrefix(names[i+1], room) {
			out = append(out, n)
		}
	}
	return out
}

// TestThief does every attack to one object of each kind, and then to all: everything is restored as before, and verification names each object and says what
// happened to it.
func TestThief(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).fill(2)
			all := r.names()
			if a.few {
				all = oneOfEach(all)
			}
			r.restored()
			if res := r.verified(); res.Tampered != 0 || res.Versions != providers.SightSeen || res.ExtraVersions+res.Markers != 0 {
				t.Fatalf("before: %+v", res)
			}
			r.store.SetBy("thief")
			first := oneOfEach(all)
			for _, name := range first {
				a.do(r, name)
				if len(r.restored().Sightings()) == 0 && !strings.HasPrefix(a.name, "rewritten") {
					t.Errorf("reading all noticed nothing about %s", name)
				}
			}
			for _, name := range all {
				if !slices.Contains(first, name) {
					a.do(r, name)
				}
			}
			r.restored()
			res := r.verified()
			for _, name := range all {
				said := about(res.Findings, vault.Tampering, name)
				for _, want := range a.say {
					if !strings.Contains(said, want) && len(res.Findings) < 1000 {
						t.Errorf("%s: %q is not said but %q", name, want, said)
					}
				}
			}
			if res.ExtraVersions+res.Markers < int64(len(all)) || res.Tampered < int64(len(all)) || res.OK() {
				t.Errorf("%d extra versions, %d markers, %d findings for %d objects", res.ExtraVersions, res.Markers, res.Tampered, len(all))
			}
		})
	}
}

// TestRepeatedUpload holds that a second version with the same bytes, as an upload leaves whose answer was lost, is no tampering.
func TestRepeatedUpload(t *testing.T) {
	r := newRig(t).fill(2)
	for _, name := range r.names() {
		r.store.Set(name, r.original(name))
	}
	for _, f := range r.restored().Sightings() {
		if f.Severity != vault.Notice || !strings.Contains(f.Text, "stored once more") {
			t.Errorf("%+v", f)
		}
	}
	res := r.verified()
	if !res.OK() || res.ExtraVersions != int64(len(r.names())) {
		t.Errorf("%d tampered, %d extra versions of %d objects: %v", res.Tampered, res.ExtraVersions, len(r.names()), res.Findings)
	}
}

// TestRandomThief overwrites and hides at random, again and again, and restores after each round.
func TestRandomThief(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			r := newRig(t).fill(3)
			all := r.names()
			for round := range 5 {
				for range rnd.IntN(8) + 1 {
					name := all[rnd.IntN(len(all))]
					switch rnd.IntN(4) {
					case 0:
						r.store.Hide(name)
					case 1:
						r.store.Set(name, noise(rnd.Uint64(), rnd.IntN(3000)))
					case 2:
						r.store.Set(name, r.original(all[rnd.IntN(len(all))]))
					case 3:
						r.store.Hide(fmt.Sprintf("%s%x", name[:len(name)-1], rnd.IntN(16)))
					}
				}
				r.restored()
				if res := r.verified(); res.Snapshots != int64(len(r.want)) {
					t.Fatalf("round %d: %d snapshots are whole: %v", round, res.Snapshots, res.Findings)
				}
			}
		})
	}
}

// TestMarkersOverNothing lays delete markers over names that never were: they are told of, and neither objects nor commits.
func TestMarkersOverNothing(t *testing.T) {
	r := newRig(t).fill(1)
	c := r.chain(r.open())
	names := []string{
		record.CommitName(c.ID, int64(len(c.Commits))+1), record.CommitName(strings.Repeat("ab", 16), 1),
		record.StatementName(2, sha256.Sum256(nil)), record.PackName(sha256.Sum256(nil)), record.MetaName(sha256.Sum256(nil)), "reports/" + strings.Repeat("ab", 16) + "/0000000001",
	}
	for _, name := range names {
		r.store.Hide(name)
	}
	r.store.Hide("packs/canary/x")
	v := r.restored()
	if c := r.chain(v); len(c.Findings) > 0 {
		t.Errorf("%v", c.Findings)
	}
	res := r.verified()
	for _, name := range names {
		if said := about(res.Findings, vault.Tampering, name); !strings.Contains(said, "no right version is beneath") {
			t.Errorf("%s: %q", name, said)
		}
	}
	if res.Markers != int64(len(names)) || res.Tampered != int64(len(names)) || res.ExtraVersions != 0 {
		t.Errorf("%d markers, %d findings: %v", res.Markers, res.Tampered, res.Findings)
	}
	r.continued()
}

// continued lets the agent go on, and holds that all is restored.
func (r *rig) continued() {
	r.t.Helper()
	w, end, err := r.begin()
	must(r.t, err)
	defer end()
	last := r.want[len(r.want)-1]
	items := map[string][]byte{fmt.Sprintf("later/%d", len(r.want)): noise(uint64(1000+len(r.want)), 5000)}
	_, err = r.write(w, items)
	must(r.t, err)
	for path, b := range last {
		items[path] = b
	}
	r.want = append(r.want, items)
	r.restored()
}

// TestAgentGoesOn holds that an agent whose commits and pages were hidden and overwritten goes on writing.
func TestAgentGoesOn(t *testing.T) {
	r := newRig(t).fill(2)
	for i, name := range r.names() {
		if i%2 == 0 {
			r.store.Hide(name)
		} else {
			r.store.Set(name, []byte("junk"))
		}
	}
	r.continued()
	r.continued()
}

// TestWhileReading overwrites packs between the reads of a reader that has opened them.
func TestWhileReading(t *testing.T) {
	for _, name := range []string{"overwritten", "hidden", "another's"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w, end, err := r.begin()
			must(t, err)
			content := noise(5, 6<<20)
			c, err := r.write(w, map[string][]byte{"large": content})
			must(t, err)
			_, err = r.write(w, map[string][]byte{"other": noise(6, 6<<20)})
			must(t, err)
			end()
			v := r.open()
			snap, err := v.Snapshot(t.Context(), c)
			must(t, err)
			rec, err := snap.Find(t.Context(), "large")
			must(t, err)
			var out bytes.Buffer
			done := false
			tamper := writerFunc(func(p []byte) (int, error) {
				for _, n := range r.names() {
					switch {
					case done || !strings.HasPrefix(n, "packs/"):
					case name == "overwritten":
						r.store.Set(n, noise(7, 6<<20))
					case name == "hidden":
						r.store.Hide(n)
					default:
						r.store.Set(n, r.neighbour(n))
					}
				}
				done = true
				return out.Write(p)
			})
			must(t, v.NewReader().Copy(t.Context(), tamper, &rec.Parts[0]))
			if !bytes.Equal(out.Bytes(), content) {
				t.Error("other bytes")
			}
			if len(v.Sightings()) == 0 {
				t.Error("nothing was noticed")
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

var _ io.Writer = writerFunc(nil)

// TestRequests holds what looking at versions costs: in a store where nobody tampered, a listing for each pack that is opened, none for a page, and no request at all in one
// that shows no versions.
func TestRequests(t *testing.T) {
	r := newRig(t).fill(4)
	read := func() (pack, meta int) {
		v := r.open()
		packs, metas := r.count("versions", "packs/"), r.count("versions", "meta/")
		r.restoredFrom(v, v.NewReader())
		return r.count("versions", "packs/") - packs, r.count("versions", "meta/") - metas
	}
	packs := 0
	for _, name := range r.names() {
		if strings.HasPrefix(name, "packs/") {
			packs++
		}
	}
	if p, m := read(); p != packs || m != 0 {
		t.Errorf("%d listings of %d packs, %d of pages", p, packs, m)
	}
	// A reader that has found out which version is right remembers it, however often it has to open packs again.
	r = newRig(t).fill(11)
	packs = 11
	for _, name := range r.names() {
		r.store.Set(name, []byte("junk"))
	}
	if p, _ := read(); p != packs {
		t.Errorf("%d listings of %d packs that were overwritten", p, packs)
	}
	r.driver = plain{r.script}
	before := r.count("versions", "")
	if _, err := vault.Open(t.Context(), r.bucket(), vault.Options{}); err == nil {
		t.Error("a vault whose statements were overwritten was opened")
	}
	if after := r.count("versions", ""); after != before {
		t.Errorf("%d listings of versions", after-before)
	}
}

// plain is a driver that can't show versions.
type plain struct{ providers.Driver }

// TestDenied holds that a credential which may not list versions reads what is plain, and says of the rest what it could not do.
func TestDenied(t *testing.T) {
	r := newRig(t).fill(1)
	denied := &providers.Error{Kind: providers.Denied}
	r.script.Add(faults.Fault{Op: "versions", Times: -1, Err: denied})
	r.restored()
	if res := r.verified(); res.Versions != providers.SightDenied || !res.OK() {
		t.Errorf("%+v", res)
	}
	for _, name := range r.names() {
		if strings.HasPrefix(name, "packs/") {
			r.store.Hide(name)
		}
	}
	v := r.open()
	snap, err := v.Snapshot(t.Context(), r.chain(v).Head())
	must(t, err)
	rec, err := snap.Find(t.Context(), "0/0")
	must(t, err)
	err = v.NewReader().Copy(t.Context(), io.Discard, &rec.Parts[0])
	if err == nil || !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), "may not list versions") {
		t.Errorf("%v", err)
	}
}

// TestNoRightVersion holds that a name whose versions are all wrong is damage.
func TestNoRightVersion(t *testing.T) {
	r := newRig(t).fill(2)
	var gone []string
	for _, name := range r.names() {
		if strings.HasPrefix(name, "packs/") || strings.HasPrefix(name, "meta/") {
			n, err := r.bucket().History(t.Context(), name)
			must(t, err)
			r.store.Set(name, []byte("junk"))
			r.store.Set(name, r.neighbour(name))
			r.store.RemoveVersion(name, n.ID)
			gone = append(gone, name)
		}
	}
	res, err := verifyFull(r)
	must(t, err)
	for _, name := range gone {
		if said := about(res.Findings, vault.Damage, name); !strings.Contains(said, "none of its versions") {
			t.Errorf("%s: %q", name, said)
		}
	}
}

// TestCreateOverHidden holds that no vault begins where another lies hidden.
func TestCreateOverHidden(t *testing.T) {
	r := newRig(t)
	for _, name := range r.names() {
		r.store.Hide(name)
	}
	_, err := vault.Create(t.Context(), r.bucket(), vault.CreateOptions{Owner: r.owner, Recovery: r.recipients("recovery"), Metadata: r.recipients("metadata")[0], Agent: r.agent.Public(), Time: time.Now()})
	if err == nil || !strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
	if v := r.open(); v.ID() != r.id {
		t.Error("another vault")
	}
}

func (r *rig) recipients(role string) (out []string) {
	for _, x := range r.open().Statement().Recipients {
		if x.Role == role {
			out = append(out, x.Recipient)
		}
	}
	return out
}
