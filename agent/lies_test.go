package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers/mem"
)

// liarRig is a vault whose agent's key is in wrong hands: what it signs is well-formed and untrue.
type liarRig struct {
	*census
	store *mem.Driver
	head  *vault.Commit
	last  record.Commit // the newest commit as it is stored
}

func newLiar(t *testing.T) *liarRig {
	t.Helper()
	r, src := newRig(t), newFakeSource()
	for i := range 5 {
		src.put(fmt.Sprint("k", i), noise(uint64(i), 400))
	}
	r.mustReplicate(src, agent.Options{})
	l := &liarRig{census: newCensus(t, r), store: r.driver.(*mem.Driver)}
	l.head = r.chain(l.v).Head()
	stored := l.store.Objects()[record.CommitName(l.head.Chain, l.head.Seq)]
	signed, err := sign.Parse(sign.KindCommit, stored)
	must(t, err)
	c, err := record.DecodeCommit(signed.JSON)
	must(t, err)
	l.last = *c
	return l
}

// next is a true successor of the newest commit, to be changed.
func (l *liarRig) next() *record.Commit {
	c := l.last
	prev := l.head.Hash
	c.Seq, c.Prev, c.Source, c.Packs, c.Meta, c.Adopted, c.Time = c.Seq+1, &prev, "", nil, nil, nil, c.Time.Add(time.Second)
	return &c
}

// publish signs a commit and places it.
func (l *liarRig) publish(c *record.Commit) {
	l.t.Helper()
	text, err := record.EncodeCommit(c)
	must(l.t, err)
	stored, err := sign.Envelope(sign.KindCommit, l.r.id, text, l.r.agent)
	must(l.t, err)
	l.store.Set(record.CommitName(c.Chain, c.Seq), stored)
}

// put stores a page or a list and has the commit add it.
func (l *liarRig) put(c *record.Commit, stored []byte) record.Ref {
	ref := record.Ref{Name: sha256.Sum256(stored), Size: int64(len(stored))}
	l.store.Set(record.MetaName(ref.Name), stored)
	c.Meta = append(c.Meta, ref)
	return ref
}

// seal stores a page with these raw bytes.
func (l *liarRig) seal(c *record.Commit, raw []byte) record.Ref {
	l.t.Helper()
	var to []string
	for _, r := range l.v.Statement().Recipients {
		to = append(to, r.Recipient)
	}
	s, err := seal.NewSealer(to)
	must(l.t, err)
	var plain bytes.Buffer
	must(l.t, pack.Encode(&plain, l.codec, 1<<20, bytes.NewReader(raw)))
	stored, err := seal.SealBytes(s, plain.Bytes())
	must(l.t, err)
	return l.put(c, stored)
}

// list returns the newest public list, decoded.
func (l *liarRig) list() *record.List {
	l.t.Helper()
	list, err := l.v.List(context.Background(), l.last.List.Name)
	must(l.t, err)
	for i := range list.Segments {
		if list.Segments[i].List.IsZero() {
			list.Segments[i].List = l.last.List.Name
		}
	}
	return list
}

// withSegment publishes a commit whose only segment has these records, and whose public list says so.
func (l *liarRig) withSegment(recs []*record.Record, change func(*record.SegmentHeader)) {
	l.t.Helper()
	c := l.next()
	h := record.SegmentHeader{Records: len(recs), Packs: l.last.Packs}
	change(&h)
	raw := record.AppendSegmentHeader(nil, &h)
	for _, rec := range recs {
		raw = record.AppendRecord(raw, rec, func(name record.Hash) int { return 0 })
	}
	l.withSegments(c, record.Stacked{Ref: l.seal(c, raw), Records: len(recs), Base: true})
}

func (l *liarRig) withSegments(c *record.Commit, stack ...record.Stacked) {
	l.t.Helper()
	root := *l.root(l.head)
	root.Ranges, root.Pages = []record.RootRange{{Segments: stack}}, nil
	raw, err := record.EncodeRoot(&root)
	must(l.t, err)
	ref := l.seal(c, raw)
	list := &record.List{HasLive: true, Meta: []record.LiveMeta{{Ref: ref, Role: record.LiveRoot}, {Ref: root.Keys, Role: record.LiveKeys}}}
	for _, s := range stack {
		list.Sections = append(list.Sections, record.ListSection{Segment: s.Name, Packs: l.last.Packs})
		list.Segments = append(list.Segments, record.LiveSegment{Ref: s.Ref})
	}
	for _, table := range root.Tables {
		list.Meta = append(list.Meta, record.LiveMeta{Ref: table, Role: record.LiveTable})
	}
	at := l.put(c, record.EncodeList(list))
	c.Root, c.List = &ref, &at
	l.publish(c)
}

// item is a true record of the newest snapshot.
func (l *liarRig) item(path string) *record.Record {
	l.t.Helper()
	snap, err := l.v.Snapshot(context.Background(), l.head)
	must(l.t, err)
	rec, err := snap.Find(context.Background(), path)
	must(l.t, err)
	return rec
}

// TestSignedLies has a thief with the agent's key sign commits that are not true. What anyone can see is found without a key, the rest with it, and a restore
// gives no bytes other than those that the records state.
func TestSignedLies(t *testing.T) {
	nothing := func(*record.SegmentHeader) {}
	for _, c := range []struct {
		name    string
		lie     func(l *liarRig)
		keyless string // in what verify says without a key; empty: nothing
		keyed   string // the same with the recovery key
	}{
		{"the truth", func(l *liarRig) { l.publish(l.next()) }, "", ""},
		{"the truth, written anew", func(l *liarRig) { l.withSegment([]*record.Record{l.item("k1"), l.item("k2")}, nothing) }, "", ""},
		{"a pack that is not there", func(l *liarRig) {
			k := l.next()
			k.Packs = []record.Ref{{Name: record.Hash{1}, Size: 10}}
			l.publish(k)
		}, "Object:" + record.PackName(record.Hash{1}) + " Text:it is missing; commit 3", "it is missing"},
		{"a root that is not there", func(l *liarRig) {
			k := l.next()
			k.Root = &record.Ref{Name: record.Hash{1}, Size: 10}
			l.publish(k)
		}, "Object:" + record.MetaName(record.Hash{1}) + " Text:it is missing; commit 3", "it is missing"},
		{"a pack's size", func(l *liarRig) {
			k, list := l.next(), l.list()
			list.Sections[0].Packs[0].Size++
			list.Segments[0].List = record.Hash{}
			ref := l.put(k, record.EncodeList(list))
			k.List = &ref
			l.publish(k)
		}, "bytes, segment ", "bytes, segment "},
		{"a list without the segment", func(l *liarRig) {
			k, list := l.next(), l.list()
			list.Sections, list.Segments = nil, nil
			ref := l.put(k, record.EncodeList(list))
			k.List = &ref
			l.publish(k)
		}, "", "leaves out segment"},
		{"a list without a pack", func(l *liarRig) {
			k := l.next()
			seg := l.root(l.head).Ranges[0].Segments[0]
			raw := l.page(seg.Name)
			again := record.Stacked{Ref: l.seal(k, raw), Records: seg.Records, Base: true}
			packs := l.last.Packs
			l.last.Packs = nil
			l.withSegments(k, again)
			l.last.Packs = packs
		}, "", "leaves out pack"},
		{"a list for a root", func(l *liarRig) {
			k := l.next()
			k.Root = k.List
			l.publish(k)
		}, "it is that of another root", "it is that of another root"},
		{"the keys for a root", func(l *liarRig) {
			k := l.next()
			keys := l.root(l.head).Keys
			k.Root = &keys
			l.publish(k)
		}, "it is that of another root", "root page"},
		{"a segment for a root, and a list to go with it", func(l *liarRig) {
			k, list := l.next(), l.list()
			seg := l.root(l.head).Ranges[0].Segments[0].Ref
			k.Root = &seg
			list.Meta = []record.LiveMeta{{Ref: seg, Role: record.LiveRoot}}
			ref := l.put(k, record.EncodeList(list))
			k.List = &ref
			l.publish(k)
		}, "", "root page"},
		{"a time that goes back", func(l *liarRig) {
			k := l.next()
			k.Time = l.head.Time.Add(-time.Nanosecond)
			l.publish(k)
		}, "lies before that of the commit before it; it does not count", "does not count"},
		{"another predecessor", func(l *liarRig) {
			k := l.next()
			k.Prev = &record.Hash{1}
			l.publish(k)
		}, "it does not name the hash of the commit before it", "does not count"},
		{"a statement that is none", func(l *liarRig) {
			k := l.next()
			k.Statement = record.Hash{1}
			l.publish(k)
		}, "names a statement that the owner did not sign", "does not count"},
		{"bytes of another item", func(l *liarRig) {
			a, b := l.item("k1"), l.item("k2")
			a.Parts[0].Extents = b.Parts[0].Extents
			l.withSegment([]*record.Record{a}, nothing)
		}, "", `"k1"`},
		{"bytes behind the pack's end", func(l *liarRig) {
			a := l.item("k1")
			a.Parts[0].Extents[0].Offset = 1 << 20
			l.withSegment([]*record.Record{a}, nothing)
		}, "", `"k1"`},
		{"a pack's size in a segment", func(l *liarRig) {
			l.withSegment([]*record.Record{l.item("k1")}, func(h *record.SegmentHeader) {
				h.Packs = []record.Ref{{Name: h.Packs[0].Name, Size: h.Packs[0].Size - 1}}
			})
		}, "", `"k1"`},
		{"records out of order", func(l *liarRig) { l.withSegment([]*record.Record{l.item("k2"), l.item("k1")}, nothing) }, "", "not behind the record before it"},
		{"more records than there are", func(l *liarRig) {
			l.withSegment([]*record.Record{l.item("k1")}, func(h *record.SegmentHeader) { h.Records = 2 })
		}, "", "ends after 1 of 2 records"},
		{"records out of range", func(l *liarRig) {
			l.withSegment([]*record.Record{l.item("k1")}, func(h *record.SegmentHeader) { h.From = "k2" })
		}, "", "outside of the segment's range"},
		{"an extents page for a segment", func(l *liarRig) {
			k := l.next()
			ref := l.seal(k, record.AppendExtentsHeader(nil, l.last.Packs))
			l.withSegments(k, record.Stacked{Ref: ref, Records: 1, Base: true})
		}, "", "segment"},
		{"a page of extents that is too short", func(l *liarRig) {
			a, k := l.item("k1"), l.next()
			e := a.Parts[0].Extents[0]
			ref := l.seal(k, record.AppendExtent(record.AppendExtentsHeader(nil, l.last.Packs), 0, e.Offset, e.Length-1))
			a.Parts[0].Extents, a.Parts[0].Pages = nil, []record.PartPage{{Ref: ref, Length: e.Length}}
			raw := record.AppendRecord(record.AppendSegmentHeader(nil, &record.SegmentHeader{Records: 1, Packs: l.last.Packs}), a, func(record.Hash) int { return 0 })
			l.withSegments(k, record.Stacked{Ref: l.seal(k, raw), Records: 1, Base: true})
		}, "", "cover"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLiar(t)
			c.lie(l)
			pub := l.r.owner.Public()
			for _, look := range []struct {
				want string
				ids  []age.Identity
			}{{c.keyless, nil}, {c.keyed, []age.Identity{l.r.recovery}}} {
				v, err := vault.Open(context.Background(), l.r.bucket, vault.Options{Owner: &pub, Identities: look.ids})
				must(t, err)
				res, err := verify.Full(context.Background(), v, verify.Options{Items: look.ids != nil})
				if err != nil {
					t.Fatalf("keys %v: verify came to no end: %v", look.ids != nil, err)
				}
				said := fmt.Sprintf("%+v", res.Findings)
				if look.want == "" && !res.OK() || !strings.Contains(said, look.want) || look.want != "" && res.OK() {
					t.Errorf("keys %v: verify said %s, want %q", look.ids != nil, said, look.want)
				}
			}
			l.restoresOnlyTruth()
		})
	}
}

// restoresOnlyTruth reads the newest commit that counts: what can be read is what the source had.
func (l *liarRig) restoresOnlyTruth() {
	l.t.Helper()
	ctx, v := context.Background(), l.r.open()
	chains, err := v.Chains(ctx)
	must(l.t, err)
	snap, err := v.Snapshot(ctx, chains[0].Newest())
	if err != nil {
		return
	}
	for rec, err := range snap.Records(ctx, "", "") {
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := v.NewReader().Copy(ctx, &b, &rec.Parts[0]); err != nil {
			continue
		}
		var n uint64
		if _, err := fmt.Sscanf(rec.Path, "k%d", &n); err != nil || !bytes.Equal(b.Bytes(), noise(n, 400)) {
			l.t.Errorf("%q was restored wrong", rec.Path)
		}
	}
}
