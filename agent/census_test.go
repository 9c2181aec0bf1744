package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/providers"
)

// counter counts calls from several goroutines.
type counter struct{ n atomic.Int64 }

// next returns how often it was called before.
func (c *counter) next() int64 { return c.n.Add(1) - 1 }

// checkVault holds the whole vault to the format's promises, as somebody would who reads it with nothing but the codecs: verification finds nothing, with and
// without key; public lists say exactly what the snapshots refer to; stacks are short; nothing is added twice; no chunk is stored twice.
func checkVault(t *testing.T, r *rig) {
	t.Helper()
	checkVerified(t, r)
	c := newCensus(t, r)
	chains, err := c.v.Chains(context.Background())
	must(t, err)
	for _, chain := range chains {
		for _, k := range chain.Commits {
			c.commit(k)
		}
		if h := chain.Newest(); h != nil {
			c.chunksOnce(h)
		}
	}
}

// checkVerified runs a full verification without and with the recovery key.
func checkVerified(t *testing.T, r *rig) {
	t.Helper()
	pub := r.owner.Public()
	keyless, err := vault.Open(context.Background(), r.bucket, vault.Options{Owner: &pub})
	must(t, err)
	for _, c := range []struct {
		v     *vault.Vault
		items bool
	}{{keyless, false}, {r.open(), true}} {
		res, err := verify.Full(context.Background(), c.v, verify.Options{Items: c.items, Workers: 4})
		if err != nil {
			t.Errorf("verify, items %v: %v", c.items, err)
			continue
		}
		for _, f := range res.Findings {
			t.Errorf("verify, items %v: %+v", c.items, f)
		}
		for _, ch := range res.Chains {
			if ch.Newest != nil && !ch.Whole {
				t.Errorf("verify: chain %s has no whole newest snapshot", ch.Chain)
			}
		}
	}
}

// census reads a vault with the codecs alone.
type census struct {
	t        *testing.T
	r        *rig
	v        *vault.Vault
	codec    *pack.Codec
	added    map[string]int64 // what the commits so far added, by name, with its size
	segments map[record.Hash]needs
	sections map[record.Hash]map[record.Hash]record.ListSection // by list and segment
}

// needs is what a segment refers to.
type needs struct {
	packs, meta map[record.Hash]int64
	records     int
}

func newCensus(t *testing.T, r *rig) *census {
	codec, err := pack.NewCodec()
	must(t, err)
	return &census{t: t, r: r, v: r.open(), codec: codec, added: map[string]int64{}, segments: map[record.Hash]needs{}, sections: map[record.Hash]map[record.Hash]record.ListSection{}}
}

// page returns the raw bytes of a page.
func (c *census) page(name record.Hash) []byte {
	c.t.Helper()
	stored, err := c.r.bucket.ReadAll(context.Background(), record.MetaName(name), providers.MaxObject)
	must(c.t, err)
	plain, err := age.Decrypt(bytes.NewReader(stored), c.r.recovery)
	must(c.t, err)
	raw, err := io.ReadAll(pack.NewStream(plain, c.codec, 1<<30))
	must(c.t, err)
	return raw
}

// root returns a commit's root with all its ranges.
func (c *census) root(k *vault.Commit) *record.Root {
	c.t.Helper()
	root, err := record.DecodeRoot(c.page(k.Root.Name))
	must(c.t, err)
	for _, p := range root.Pages {
		ranges, err := record.DecodeRanges(c.page(p.Name))
		must(c.t, err)
		if ranges[0].From != p.From || ranges[len(ranges)-1].To != p.To {
			c.t.Errorf("a page of ranges from %q to %q is said to go from %q to %q", ranges[0].From, ranges[len(ranges)-1].To, p.From, p.To)
		}
		root.Ranges = append(root.Ranges, ranges...)
	}
	return root
}

// commit holds one commit's public list and root to what its snapshot refers to.
func (c *census) commit(k *vault.Commit) {
	c.t.Helper()
	what := fmt.Sprintf("commit %d", k.Seq)
	packs, meta, err := c.v.Added(context.Background(), k)
	must(c.t, err)
	for _, ref := range packs {
		c.add(what, record.PackName(ref.Name), ref.Size)
	}
	for _, ref := range meta {
		c.add(what, record.MetaName(ref.Name), ref.Size)
	}
	root := c.root(k)
	want := map[string]int64{record.MetaName(k.Root.Name): k.Root.Size, record.MetaName(root.Keys.Name): root.Keys.Size}
	for _, p := range root.Pages {
		want[record.MetaName(p.Name)] = p.Size
	}
	for _, ref := range root.Tables {
		want[record.MetaName(ref.Name)] = ref.Size
	}
	for i := range root.Ranges {
		c.stack(what, &root.Ranges[i])
		for _, s := range root.Ranges[i].Segments {
			want[record.MetaName(s.Name)] = s.Size
			n := c.segment(s.Name)
			for name, size := range n.packs {
				want[record.PackName(name)] = size
			}
			for name, size := range n.meta {
				want[record.MetaName(name)] = size
			}
		}
	}
	listed := c.listed(what, k)
	if !maps.Equal(listed, want) {
		c.t.Errorf("%s: the public list is not what the snapshot refers to: %s", what, namesOff(listed, want))
	}
	for name, size := range want {
		if got, ok := c.added[name]; !ok || got != size {
			c.t.Errorf("%s needs %s with %d bytes, no commit up to it added that (%d)", what, name, size, got)
		}
	}
}

func (c *census) add(what, name string, size int64) {
	if _, twice := c.added[name]; twice {
		c.t.Errorf("%s adds %s, which was added before", what, name)
	}
	c.added[name] = size
}

func (c *census) stack(what string, r *record.RootRange) {
	if len(r.Segments) > record.MaxStack {
		c.t.Errorf("%s: range from %q has %d segments", what, r.From, len(r.Segments))
	}
	if n := len(r.Segments); n > 0 && !r.Segments[n-1].Base {
		c.t.Errorf("%s: range from %q has no base", what, r.From)
	}
}

// segment returns what a segment's records refer to.
func (c *census) segment(name record.Hash) needs {
	c.t.Helper()
	if n, ok := c.segments[name]; ok {
		return n
	}
	n := needs{packs: map[record.Hash]int64{}, meta: map[record.Hash]int64{}}
	s, err := record.NewSegmentReader(bytes.NewReader(c.page(name)))
	must(c.t, err)
	seen := map[record.Hash]bool{}
	for _, p := range s.Header().Packs {
		if seen[p.Name] {
			c.t.Errorf("segment %s has pack %s twice in its header", name, p.Name)
		}
		seen[p.Name] = true
	}
	for {
		rec, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(c.t, err)
		n.records++
		for ; rec != nil; rec = rec.Last {
			for i := range rec.Parts {
				c.part(&rec.Parts[i], n)
			}
		}
	}
	for p := range seen {
		if _, used := n.packs[p]; !used {
			c.t.Errorf("segment %s has pack %s in its header, and no record of it", name, p)
		}
	}
	c.segments[name] = n
	return n
}

func (c *census) part(p *record.Part, n needs) {
	extents := p.Extents
	for _, page := range p.Pages {
		n.meta[page.Name] = page.Size
		more, err := record.ReadExtents(bytes.NewReader(c.page(page.Name)))
		must(c.t, err)
		extents = append(extents, more...)
	}
	for _, e := range extents {
		n.packs[e.Pack.Name] = e.Pack.Size
	}
}

// listed returns all that the commit's public list names as needed.
func (c *census) listed(what string, k *vault.Commit) map[string]int64 {
	c.t.Helper()
	live, err := c.v.Live(context.Background(), *k.List)
	must(c.t, err)
	out := map[string]int64{}
	for _, m := range live.Meta {
		out[record.MetaName(m.Name)] = m.Size
	}
	for _, s := range live.Segments {
		if _, twice := out[record.MetaName(s.Name)]; twice {
			c.t.Errorf("%s: the public list names segment %s twice", what, s.Name)
		}
		out[record.MetaName(s.Name)] = s.Size
		if _, ok := c.added[record.MetaName(s.List)]; !ok {
			c.t.Errorf("%s refers to list %s, which no commit up to it added", what, s.List)
		}
		section := c.section(s)
		for _, p := range section.Packs {
			out[record.PackName(p.Name)] = p.Size
		}
		for _, m := range section.Meta {
			out[record.MetaName(m.Name)] = m.Size
		}
	}
	return out
}

// section returns what the public lists say that a segment refers to.
func (c *census) section(s record.LiveSegment) record.ListSection {
	c.t.Helper()
	if c.sections[s.List] == nil {
		l, err := c.v.List(context.Background(), s.List)
		must(c.t, err)
		c.sections[s.List] = map[record.Hash]record.ListSection{}
		for _, section := range l.Sections {
			c.sections[s.List][section.Segment] = section
		}
	}
	section, ok := c.sections[s.List][s.Name]
	if !ok {
		c.t.Errorf("list %s has no section for segment %s", s.List, s.Name)
	}
	return section
}

// chunksOnce holds that no chunk stands in two packs that the commit's tables know, and that they know all packs that are needed.
func (c *census) chunksOnce(k *vault.Commit) {
	c.t.Helper()
	where := map[record.Hash]record.Hash{}
	known := map[record.Hash]bool{}
	for _, table := range c.root(k).Tables {
		tr, err := record.NewTableReader(bytes.NewReader(c.page(table.Name)))
		must(c.t, err)
		for {
			name, _, chunks, err := tr.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(c.t, err)
			if known[name] {
				c.t.Errorf("commit %d: pack %s stands in the chunk tables twice", k.Seq, name)
			}
			known[name] = true
			for _, ch := range chunks {
				if at, ok := where[ch.Name]; ok {
					c.t.Errorf("commit %d: a chunk of %d bytes lies in pack %s and in %s", k.Seq, ch.Length, at, name)
				}
				where[ch.Name] = name
			}
		}
	}
	for name := range c.added {
		if strings.HasPrefix(name, "packs/") {
			if h, err := record.ParsePackName(name); err != nil || !known[h] {
				c.t.Errorf("commit %d: no chunk table knows %s", k.Seq, name)
			}
		}
	}
}

// namesOff names some of what stands in one and not in the other.
func namesOff(got, want map[string]int64) string {
	var out []string
	for n := range got {
		if !same(got, want, n) {
			out = append(out, "too much or with a wrong size: "+n)
		}
	}
	for n := range want {
		if _, ok := got[n]; !ok {
			out = append(out, "missing: "+n)
		}
	}
	return strings.Join(out[:min(3, len(out))], "; ")
}
