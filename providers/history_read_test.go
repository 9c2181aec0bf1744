package providers_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// TestReadVersionUnderFaults holds that reads of a version go on where they were, and never mix two versions.
func TestReadVersionUnderFaults(t *testing.T) {
	b := pattern(50_000)
	for _, action := range []faults.Action{faults.Before, faults.After, faults.Break, faults.Truncate} {
		for k := 1; k <= 3; k++ {
			synctest.Test(t, func(t *testing.T) {
				p := newPast(faults.Fault{Op: "open-version", At: k, Action: action}, faults.Fault{Op: "open-version", At: k + 1, Action: action})
				id := p.mem.Set(object, b)
				p.mem.Set(object, pattern(60_000))
				p.mem.Hide(object)
				if got, err := p.ReadVersion(t.Context(), object, id, 50_000); err != nil || !bytes.Equal(got, b) {
					t.Errorf("ReadVersion, %v at %d: %d bytes, %v", action, k, len(got), err)
				}
				dst := make([]byte, 1000)
				if n, err := p.ReadVersionRange(t.Context(), object, id, 49_000, dst); n != 1000 || err != nil || !bytes.Equal(dst, b[49_000:]) {
					t.Errorf("ReadVersionRange, %v at %d: %d bytes, %v", action, k, n, err)
				}
				s, err := p.OpenVersionStream(t.Context(), object, id)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, b) {
					t.Errorf("OpenVersionStream, %v at %d: %d bytes, %v", action, k, len(got), err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	p := newPast()
	id := p.mem.Set(object, b)
	if _, err := p.ReadVersion(t.Context(), object, id, 49_999); err == nil || providers.Retryable(err) {
		t.Errorf("larger than allowed: %v", err)
	}
	if _, err := p.ReadVersion(t.Context(), object, "other", 1); providers.KindOf(err) != providers.NotFound {
		t.Errorf("no such version: %v", err)
	}
	if _, err := p.OpenVersionStream(t.Context(), object, "other"); providers.KindOf(err) != providers.NotFound {
		t.Errorf("no such version: %v", err)
	}
}

// TestCreateFindsItself holds that a create whose bytes were stored and then overwritten or hidden has succeeded.
func TestCreateFindsItself(t *testing.T) {
	ours := pattern(5000)
	other := slices.Clone(ours)
	other[4000] ^= 1
	const says = "ours is not among the"
	tests := map[string]struct {
		stored [][]byte // nil is a marker
		script []faults.Fault
		kind   providers.Kind // Other: existed
		says   string
	}{
		"beneath one":         {stored: [][]byte{ours, other}},
		"beneath many":        {stored: slices.Concat([][]byte{ours}, slices.Repeat([][]byte{other}, 200))},
		"above another":       {stored: [][]byte{other, ours, pattern(7)}},
		"between markers":     {stored: [][]byte{nil, ours, nil, other}},
		"not there":           {stored: [][]byte{other, pattern(7)}, kind: providers.Exists, says: says + " 2"},
		"not there, shorter":  {stored: [][]byte{pattern(4999)}, kind: providers.Exists, says: "4999 bytes are stored, ours are 5000; and " + says + " 1"},
		"may not list":        {stored: [][]byte{ours, other}, script: []faults.Fault{{Op: "versions", Times: -1, Action: faults.Before, Err: kindFault(providers.Denied)}}, kind: providers.Exists, says: "may not list versions"},
		"may not read it":     {stored: [][]byte{ours, other}, script: []faults.Fault{{Op: "open-version", Times: -1, Action: faults.Before, Err: kindFault(providers.Denied)}}, kind: providers.Denied},
		"the list breaks":     {stored: [][]byte{ours, other}, script: []faults.Fault{{Op: "versions", Times: -1, Action: faults.Before}}, kind: providers.Temporary, says: "not known"},
		"the reading is late": {stored: [][]byte{ours, other}, script: []faults.Fault{{Op: "open-version", Times: 2, Action: faults.Break}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPast(tt.script...)
				for _, b := range tt.stored {
					if b == nil {
						p.mem.Hide(object)
					} else {
						p.mem.Set(object, b)
					}
				}
				body, sum := section(ours)
				info, existed, err := p.Create(t.Context(), object, body, sum)
				if tt.kind == providers.Other {
					if err != nil || !existed || info.Size != 5000 {
						t.Errorf("%+v, existed %v, %v", info, existed, err)
					}
				} else if providers.KindOf(err) != tt.kind || existed || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("existed %v, %v; want kind %q with %q", existed, err, tt.kind, tt.says)
				}
				if n := len(tt.stored); n != versionsOf(t, p) {
					t.Errorf("%d versions where %d were", versionsOf(t, p), n)
				}
			})
		})
	}
}

func versionsOf(t *testing.T, p past) (n int) {
	t.Helper()
	for _, err := range providers.New(p.mem, providers.Options{}).Versions(t.Context(), object) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// refusing says that a hidden name is taken, as some services do.
type refusing struct{ *mem.Versioned }

func (r refusing) Create(context.Context, string, *io.SectionReader, [32]byte) (providers.Info, error) {
	return providers.Info{}, kindFault(providers.Exists)
}

// TestCreateUnderMarker holds that our own object under a marker is found where the service does not let it be created again, and that where
// it does a second version is no harm.
func TestCreateUnderMarker(t *testing.T) {
	ours := pattern(5000)
	m := mem.NewVersioned()
	m.Set(object, ours)
	m.Hide(object)
	body, sum := section(ours)
	if _, existed, err := providers.New(refusing{m}, providers.Options{}).Create(t.Context(), object, body, sum); err != nil || !existed {
		t.Errorf("refused: existed %v, %v", existed, err)
	}
	if _, existed, err := providers.New(m, providers.Options{}).Create(t.Context(), object, body, sum); err != nil || existed {
		t.Errorf("accepted: existed %v, %v", existed, err)
	}
	body, sum = section(pattern(6000))
	m.Hide(object)
	_, _, err := providers.New(refusing{m}, providers.Options{}).Create(t.Context(), object, body, sum)
	if providers.KindOf(err) != providers.Exists || !strings.Contains(err.Error(), "delete marker") || !strings.Contains(err.Error(), "the 4 versions and markers") {
		t.Errorf("not ours: %v", err)
	}
}

// TestCreateUnderFlood holds that the search among junk of our size reads no more than the oldest.
func TestCreateUnderFlood(t *testing.T) {
	p := newPast()
	for range 1000 {
		p.mem.Set(object, pattern(50))
	}
	body, sum := section(bytes.Repeat([]byte("x"), 50))
	_, _, err := p.Create(t.Context(), object, body, sum)
	if got := p.Stats(); providers.KindOf(err) != providers.Exists || got.Opens > providers.MaxHistory+1 {
		t.Errorf("%v after %d reads", err, got.Opens)
	}
}
