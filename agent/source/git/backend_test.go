package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
)

// scripted is a repository whose packs are what a test says.
type scripted struct {
	refs  *refs.Manifest
	pack  []byte
	wrap  func(attempt int, r io.Reader) io.Reader
	count int64 // what IDs says; 0: it has none
	asked int
}

func (s *scripted) Refs(context.Context) (*refs.Manifest, error) { return s.refs, nil }
func (s *scripted) Omitted() string                              { return "" }
func (s *scripted) Close() error                                 { return nil }

func (s *scripted) Reached(context.Context, []string, []string) (reached, told bool, err error) {
	return true, true, nil
}

func (s *scripted) Pack(context.Context, []string, []string, bool) (io.ReadCloser, error) {
	s.asked++
	var r io.Reader = bytes.NewReader(s.pack)
	if s.wrap != nil {
		r = s.wrap(s.asked, r)
	}
	if s.count == 0 {
		return io.NopCloser(r), nil
	}
	return counting{io.NopCloser(r), s.count}, nil
}

type counting struct {
	io.ReadCloser
	n int64
}

func (c counting) IDs() (int64, string) { return c.n, strings.Repeat("0", 64) }

// script makes a repository of one commit and its pack of three objects.
func script(t *testing.T) *scripted {
	t.Helper()
	r := gittest.New(t, filepath.Join(t.TempDir(), "r.git"), "", true)
	oid := r.Commit("main", map[string]string{"a": "1\n"})
	pack, err := r.Git.Output(t.Context(), strings.NewReader(oid+"\n"), "pack-objects", "--revs", "--stdout", "-q")
	if err != nil {
		t.Fatal(err)
	}
	return &scripted{
		refs: &refs.Manifest{Format: refs.SHA1, Head: "refs/heads/main", Refs: []refs.Ref{{Name: "refs/heads/main", OID: oid}}},
		pack: pack,
	}
}

// captureScript captures it as the source would.
func captureScript(ctx context.Context, t *testing.T, b *scripted, sink source.Sink) (*record.Record, error) {
	t.Helper()
	s, err := New(Options{Address: "git+https://host/r.git"})
	if err != nil {
		t.Fatal(err)
	}
	r := s.at("r.git")
	h := &history{source: s, repo: r, backend: b, sink: sink}
	rec, _, err := h.capture(ctx)
	return rec, s.failure(ctx, r, err)
}

// TestPackFaults holds what comes of packs that are not what they should be: a fault that passes is tried again, any other is recorded, and none is
// taken for a pack.
func TestPackFaults(t *testing.T) {
	cut := errors.New("connection reset")
	for _, c := range []struct {
		name   string
		change func(*scripted)
		reason string // empty: it is captured
		asked  int
	}{
		{"whole", func(*scripted) {}, "", 1},
		{"as many objects as listed", func(s *scripted) { s.count = 3 }, "", 1},
		{"fewer objects than listed", func(s *scripted) { s.count = 4 }, record.ReasonBroken, 1},
		{"breaks once", func(s *scripted) {
			s.wrap = func(n int, r io.Reader) io.Reader {
				if n == 1 {
					return io.MultiReader(io.LimitReader(r, 60), iotest.ErrReader(cut))
				}
				return r
			}
		}, "", 2},
		{"breaks always", func(s *scripted) {
			s.wrap = func(_ int, r io.Reader) io.Reader {
				return io.MultiReader(io.LimitReader(r, 60), iotest.ErrReader(cut))
			}
		}, record.ReasonOther, 2},
		{"cut off", func(s *scripted) { s.pack = s.pack[:len(s.pack)-1] }, record.ReasonBroken, 2},
		{"cut in its header", func(s *scripted) { s.pack = s.pack[:5] }, record.ReasonOther, 2},
		{"damaged", func(s *scripted) { s.pack[len(s.pack)/2] ^= 1 }, record.ReasonBroken, 2},
		{"no pack", func(s *scripted) { s.pack = []byte("<html>please sign in</html>") }, record.ReasonBroken, 2},
	} {
		b, sink := script(t), new(sourcetest.Memory)
		c.change(b)
		rec, err := captureScript(t.Context(), t, b, sink)
		var bad *source.Unreadable
		switch {
		case c.reason == "" && (err != nil || len(packs(rec)) != 1):
			t.Errorf("%s: %v", c.name, err)
		case c.reason != "" && (!errors.As(err, &bad) || bad.Reason != c.reason || bad.Detail == ""):
			t.Errorf("%s: %v", c.name, err)
		}
		if b.asked != c.asked {
			t.Errorf("%s: asked %d times", c.name, b.asked)
		}
	}
}

// interrupting ends the context while a part is stored.
type interrupting struct {
	source.Sink
	cancel context.CancelFunc
}

func (i interrupting) Part(ctx context.Context, p record.Part, _ int64, _ io.Reader) (record.Part, error) {
	i.cancel()
	return p, ctx.Err()
}

// TestInterrupted holds that an interruption, or a failure of the vault, says nothing about the repository.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := captureScript(ctx, t, script(t), interrupting{new(sourcetest.Memory), cancel})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an interruption became %v", err)
	}
	full := errors.New("the vault is full")
	b := script(t)
	if _, err := captureScript(t.Context(), t, b, failingSink{new(sourcetest.Memory), full}); err != full || b.asked != 1 {
		t.Errorf("a failure of the vault became %v after %d packs", err, b.asked)
	}
}

// TestWait holds that nobody waits for what does not begin, or beyond its context.
func TestWait(t *testing.T) {
	s, err := New(Options{Address: "git+https://host", Repositories: []string{"r.git"}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.at("r.git")
	s.patience = 0
	for range 2 { // whoever asks later is not told anything else
		if out, err := s.wait(t.Context(), r); out != nil || !errors.Is(err, errGivenUp) {
			t.Errorf("%v, %v", out, err)
		}
	}
	_, err = s.Capture(t.Context(), source.Entry{Path: "r.git", Kind: record.KindLFS}, nil, new(sourcetest.Memory))
	var bad *source.Unreadable
	if !errors.As(err, &bad) || bad.Reason != record.ReasonChanging {
		t.Errorf("LFS objects whose history nobody captured: %v", err)
	}
	r = s.at("r.git")
	turn := s.take(r) // it is captured after all
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.wait(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("beyond its context: %v", err)
	}
	want := &outcome{}
	go turn.finish(want)
	if out, err := s.wait(t.Context(), r); out != want || err != nil {
		t.Errorf("%v, %v", out, err)
	}
}

// TestLines holds that what is missing stays readable however much it is.
func TestLines(t *testing.T) {
	var many []string
	for range 50 {
		many = append(many, "a\nb: gone")
	}
	got := strings.Split(lines(many), "\n")
	if len(got) != maxOmitted+1 || got[0] != "a b: gone" || !strings.Contains(got[maxOmitted], "30 more") {
		t.Errorf("%q", got)
	}
	if lines(nil) != "" || len(split("\n")) != 0 {
		t.Error("nothing missing is not nothing")
	}
}
