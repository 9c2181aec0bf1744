package faults_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
	"farshore/providers/providertest"
)

// TestConformance holds that without a script nothing changes.
func TestConformance(t *testing.T) {
	providertest.Run(t, func(*testing.T) providers.Driver { return faults.New(mem.New()) })
}

func create(d providers.Driver, name, content string) error {
	_, err := d.Create(context.Background(), name, io.NewSectionReader(strings.NewReader(content), 0, int64(len(content))), sha256.Sum256([]byte(content)))
	return err
}

func read(d providers.Driver, name string) ([]byte, error) {
	r, err := d.Open(context.Background(), name, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func TestCounting(t *testing.T) {
	m := mem.New()
	f := faults.New(m)
	f.Add(faults.Fault{Op: "create", Prefix: "packs/", At: 2, Times: 2, Action: faults.Before},
		faults.Fault{Prefix: "meta/", Action: faults.After, Err: &providers.Error{Kind: providers.Throttled, Err: errors.New("slow")}})
	want := map[string]providers.Kind{"packs/2": providers.Temporary, "packs/3": providers.Temporary, "meta/1": providers.Throttled}
	for _, name := range []string{"packs/1", "commits/1", "meta/1", "packs/2", "packs/3", "packs/4", "meta/2"} {
		err := create(f, name, "x")
		if kind, fails := want[name]; fails != (err != nil) || providers.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
		_, stored := m.Objects()[name]
		if stored == (want[name] == providers.Temporary) {
			t.Errorf("%s stored: %v", name, stored)
		}
	}
}

func TestBodies(t *testing.T) {
	f := faults.New(mem.New())
	if err := create(f, "a", "0123456789"); err != nil {
		t.Fatal(err)
	}
	f.Add(faults.Fault{Op: "open", Action: faults.Truncate}, faults.Fault{Op: "open", At: 2, Action: faults.Break}, faults.Fault{Op: "open", At: 3, Action: faults.Flip})
	for i, want := range []struct {
		b    string
		kind providers.Kind
	}{{"01234", providers.Other}, {"01234", providers.Corrupt}, {"012344" + "6789", providers.Other}, {"0123456789", providers.Other}} {
		b, err := read(f, "a")
		if string(b) != want.b || (err != nil) != (want.kind != providers.Other) || providers.KindOf(err) != want.kind {
			t.Errorf("read %d: %q, %v; want %q, kind %q", i, b, err, want.b, want.kind)
		}
	}
}

func TestLists(t *testing.T) {
	f := faults.New(mem.New())
	for _, name := range []string{"a", "b", "c"} {
		if err := create(f, name, ""); err != nil {
			t.Fatal(err)
		}
	}
	f.Add(faults.Fault{Op: "list", Action: faults.ListMissing}, faults.Fault{Op: "list", At: 2, Action: faults.ListDisorder}, faults.Fault{Op: "list", At: 3, Action: faults.ListFalseEnd})
	for i, want := range []string{"b true", "b a true", "a b false", "a b true"} {
		page, more, err := f.List(context.Background(), "", "", 2)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, info := range page {
			words = append(words, info.Name)
		}
		if got := strings.Join(words, " ") + map[bool]string{true: " true", false: " false"}[more]; got != want {
			t.Errorf("list %d: %q, want %q", i, got, want)
		}
	}
}

func TestDeath(t *testing.T) {
	m := mem.New()
	f := faults.New(m)
	if err := errors.Join(create(f, "a", "x"), create(f, "b", "x")); err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(context.Background(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	f.DieAfter(f.Ops())
	if err := create(f, "c", "x"); !errors.Is(err, faults.ErrDied) || providers.Retryable(err) {
		t.Errorf("create after death: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, faults.ErrDied) {
		t.Errorf("read after death: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := m.Objects(); len(got) != 2 || !bytes.Equal(got["a"], []byte("x")) {
		t.Errorf("stored are %q", got)
	}
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := faults.New(mem.New())
		f.Add(faults.Fault{Action: faults.Hang})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begin := time.Now()
		if _, err := f.Stat(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Hour {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestTranscript(t *testing.T) {
	hash := strings.Repeat("0123abcd", 8)
	run := func(f *faults.Faults) []string {
		f.Add(faults.Fault{Op: "stat", Action: faults.Before})
		for _, err := range []error{create(f, "packs/01/"+hash, "sealed"), create(f, "packs/01/"+hash, "sealed")} {
			_ = err // the transcript has it
		}
		_, _ = read(f, "packs/01/"+hash)
		_, _ = f.Stat(context.Background(), "vault/00000001-"+hash)
		_, _, _ = f.List(context.Background(), "packs/", "", 10)
		f.DieAfter(0)
		_, _ = f.Stat(context.Background(), "commits/"+hash[:32]+"/0000000001")
		return f.Transcript()
	}
	f := faults.New(mem.New())
	f.Abbreviate()
	want := []string{
		"create packs/01/0123… 6 ok",
		"create packs/01/0123… 6 exists already",
		"open packs/01/0123… 0 -1 ok",
		"stat vault/00000001-0123… fault before: temporary failure",
		`list packs/ after "" limit 10 ok`,
		"stat commits/0123…/0000000001 died: failed",
	}
	if got := run(f); !slices.Equal(got, want) {
		t.Errorf("transcript:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := run(faults.New(mem.New())); !strings.Contains(got[0], hash) {
		t.Errorf("not asked to abbreviate: %s", got[0])
	}
}

// TestHistory holds that without a script the driver below is seen as it is, and that one that keeps no versions does not become one that does.
func TestHistory(t *testing.T) {
	var m *mem.Versioned
	open := func(*testing.T) providers.Driver { m = mem.NewVersioned(); return faults.New(m) }
	providertest.Run(t, open)
	providertest.RunHistory(t, open, providertest.Tamper{
		Overwrite: func(_ *testing.T, name string, body []byte) { m.Set(name, body) },
		Hide:      func(_ *testing.T, name string) { m.Hide(name) },
		Markers:   true,
	})
	plain, twice := faults.New(mem.New()), faults.New(faults.New(mem.NewVersioned()))
	if _, ok := providers.AsHistorian(plain); ok {
		t.Error("a store without history seems to have one")
	}
	if _, ok := providers.AsKeeper(plain); ok {
		t.Error("a store that can't be asked seems to answer")
	}
	if _, _, _, err := plain.Versions(t.Context(), "", providers.Mark{}, 1); providers.KindOf(err) != providers.Unsupported {
		t.Errorf("versions of a store without: %v", err)
	}
	if _, err := plain.Settings(t.Context()); providers.KindOf(err) != providers.Unsupported {
		t.Errorf("settings of a store without: %v", err)
	}
	if _, ok := providers.AsHistorian(twice); !ok {
		t.Error("wrapped twice, the history is lost")
	}
}

// TestHistoryFaults holds that each operation of a history suffers its fault, and is written down.
func TestHistoryFaults(t *testing.T) {
	m := mem.NewVersioned()
	id := m.Set("a", []byte("0123456789"))
	f := faults.New(m)
	f.Add(faults.Fault{Op: "versions", Action: faults.ListFalseEnd}, faults.Fault{Op: "versions", At: 2, Action: faults.ListMissing}, faults.Fault{Op: "open-version", Action: faults.Truncate},
		faults.Fault{Op: "lock", Action: faults.Before}, faults.Fault{Op: "settings", Action: faults.After})
	m.Set("a", nil)
	ctx := context.Background()
	if page, _, more, err := f.Versions(ctx, "", providers.Mark{}, 1); len(page) != 1 || more || err != nil {
		t.Errorf("a false end: %v, %v, %v", page, more, err)
	}
	if page, _, more, err := f.Versions(ctx, "", providers.Mark{}, 1); len(page) != 0 || !more || err != nil {
		t.Errorf("one missing: %v, %v, %v", page, more, err)
	}
	r, err := f.OpenVersion(ctx, "a", id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); string(b) != "01234" || err != nil {
		t.Errorf("truncated: %q, %v", b, err)
	}
	if _, err := f.Lock(ctx, "a", id); providers.KindOf(err) != providers.Temporary {
		t.Errorf("lock: %v", err)
	}
	if s, err := f.Settings(ctx); providers.KindOf(err) != providers.Temporary || s.Versioning != "" {
		t.Errorf("settings: %+v, %v", s, err)
	}
	want := []string{
		`versions after "" "" limit 1 fault list-false-end: ok`, `versions after "" "" limit 1 fault list-missing: ok`, "open-version a 1 0 -1 fault truncate: ok",
		"lock a 1 fault before: temporary failure", "settings fault after: temporary failure",
	}
	for i, line := range f.Transcript() {
		if strings.Join(strings.Fields(line), " ") != want[i] {
			t.Errorf("line %d: %q, want %q", i, line, want[i])
		}
	}
}
