package svn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svndump"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
)

// made is a repository whose revisions have nothing but a log message each.
type made struct {
	youngest int64
	edited   map[int64]string
	old      string // said by all revisions that were not edited
}

func (m *made) props(n int64) []svndump.Property {
	if text, ok := m.edited[n]; ok {
		return []svndump.Property{{Name: "svn:log", Value: text}}
	}
	return []svndump.Property{{Name: "svn:log", Value: m.old}}
}

func (m *made) facts(context.Context) (facts, error) {
	return facts{uuid: "u", youngest: m.youngest, instance: "i", attrs: record.Attrs{attrInstance: "i"}}, nil
}

func (m *made) look(context.Context, string) (record.Attrs, error) { return record.Attrs{}, nil }

func (m *made) sound(_ context.Context, _, to int64) (int64, string, error) { return to, "", nil }

func (m *made) dump(_ context.Context, from, to int64) (io.ReadCloser, error) {
	var b bytes.Buffer
	err := svndump.Begin(&b, "u")
	for n := from; n <= to && err == nil; n++ {
		err = svndump.WriteRevision(&b, n, m.props(n))
	}
	return io.NopCloser(&b), err
}

func (m *made) revprops(_ context.Context, from, to int64, each func(int64, []svndump.Property) error) error {
	for n := from; n <= to; n++ {
		if err := each(n, m.props(n)); err != nil {
			return err
		}
	}
	return nil
}

func (m *made) locks(context.Context) ([]byte, bool, error) { return nil, false, nil }

func (m *made) explain(err error) error { return err }

// pass captures after the last record, with small bounds.
func (m *made) pass(t *testing.T, mem *sourcetest.Memory, last *record.Record, most limits) *record.Record {
	t.Helper()
	c := newCapture(m, source.Entry{Path: "m", Kind: record.KindSVN}, last, mem)
	c.limits = most
	rec, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// verify restores a dump and compares the properties of each revision with those that it has now.
func (m *made) verify(t *testing.T, mem *sourcetest.Memory, rec *record.Record) {
	t.Helper()
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := bufio.NewWriter(pw)
		_ = pw.CloseWithError(errors.Join(svnrepo.Dump(t.Context(), mem, svnrepo.Set{SVN: rec}, w), w.Flush())) // never fails
	}()
	defer func() {
		_ = pr.Close() // never fails
		<-done
	}()
	var state svndump.Blocks
	err := svndump.Scan(pr, func(r *svndump.Revision) error {
		if r.Props != svndump.PropsSum(m.props(r.Number)) {
			return fmt.Errorf("revision %d is restored with other properties", r.Number)
		}
		state.Add(r.Props)
		return nil
	}, nil)
	if err != nil || state.Next() != m.youngest+1 {
		t.Fatalf("%d of %d revisions: %v\nparts %v", state.Next(), m.youngest+1, err, ranges(rec))
	}
	said, err := mem.Read(t.Context(), rec.Part(record.PartState))
	if err != nil || string(said) != string(state.Encode()) {
		t.Fatalf("the state differs from what is restored: %v", err)
	}
}

func ranges(rec *record.Record) (all []string) {
	for _, p := range rec.Parts {
		if p.Kind == record.PartRevprops {
			all = append(all, p.Attrs[attrFrom]+"-"+p.Attrs[attrTo])
		}
	}
	return all
}

// TestRegroupedProperties edits so many blocks that they share parts, and then single revisions in these.
func TestRegroupedProperties(t *testing.T) {
	t.Parallel()
	m, mem, most := &made{youngest: 9001, edited: map[int64]string{}}, &sourcetest.Memory{}, limits{maxChain, 8}
	rec := m.pass(t, mem, nil, most)
	for n := int64(0); n <= m.youngest; n += 500 {
		m.edited[n] = "renamed"
	}
	rec = m.pass(t, mem, rec, most)
	m.verify(t, mem, rec)
	for _, n := range []int64{5000, 4000, 7999, 9001} {
		m.edited[n] = fmt.Sprint("again ", n)
		rec = m.pass(t, mem, rec, most)
		m.verify(t, mem, rec)
		if got, want := strings.Join(ranges(rec), " "), "0-3999 4000-7999 8000-9001"; got != want {
			t.Fatalf("after %d the parts are %s, want %s", n, got, want)
		}
	}
}

// TestOverlappingParts takes up a record whose parts overlap: what they have is stored anew.
func TestOverlappingParts(t *testing.T) {
	t.Parallel()
	m, mem, most := &made{youngest: 5999, edited: map[int64]string{1: "x"}}, &sourcetest.Memory{}, limits{maxChain, 8}
	rec := m.pass(t, mem, nil, most)
	m.edited[5000] = "edited"
	rec = m.pass(t, mem, rec, most)
	for _, p := range rec.Parts {
		if p.Kind == record.PartRevprops {
			rec.Parts = append(rec.Parts, p)
		}
	}
	m.verify(t, mem, m.pass(t, mem, rec, most))
}

// TestRandomEdits edits, commits and captures at random, with so small bounds that parts are joined and dumps made again. After each capture what is restored has the
// properties of the repository.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	seeds, steps := 2, 14
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		seeds, steps = 12, 50
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(seed), 3))
			m, mem, most := &made{youngest: rng.Int64N(4000), edited: map[int64]string{}, old: "said"}, &sourcetest.Memory{}, limits{2 + rng.IntN(4), 1 + rng.IntN(4)}
			rec := m.pass(t, mem, nil, most)
			for step := range steps {
				m.step(rng, step)
				rec = m.pass(t, mem, rec, most)
				m.verify(t, mem, rec)
				if n := len(ranges(rec)); n > most.revprops || rec.Attrs[attrRewritten] != "" {
					t.Fatalf("%d parts of at most %d; rewritten is %q", n, most.revprops, rec.Attrs[attrRewritten])
				}
			}
		})
	}
}

// step commits, edits a few revisions, or both.
func (m *made) step(rng *rand.Rand, step int) {
	if rng.IntN(2) == 0 && m.youngest < 9000 {
		m.youngest += 1 + rng.Int64N(int64(1)<<rng.IntN(11))
	}
	for range rng.IntN(4) * rng.IntN(3) {
		n := rng.Int64N(m.youngest + 1)
		m.edited[n] = fmt.Sprint("edited ", step)
		if rng.IntN(3) == 0 {
			delete(m.edited, n)
		}
	}
}
