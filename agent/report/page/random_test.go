package page_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/report"
	"farshore/agent/report/page"
)

// TestAnything shows reports that no decoder would take: members drawn from what breaks arithmetic, layouts and terminals. None may panic, and each page stays a page.
func TestAnything(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := sample{name: "random"}
		s.entry = &report.Entry{}
		fill(r, reflect.ValueOf(s.entry).Elem(), 0)
		s.entry.Audit, s.entry.Kind = new(report.Audit), report.TypeAudit
		fill(r, reflect.ValueOf(s.entry.Audit).Elem(), 0)
		s.entry.Audit.Mode = []string{report.ModeSample, report.ModeFull, report.ModeDrill, "other", ""}[r.IntN(5)]
		s.entry.Audit.Verdict = []string{report.VerdictIntact, report.VerdictIncomplete, report.VerdictDamaged, report.VerdictTampered, "other", ""}[r.IntN(6)]
		if r.IntN(2) == 0 {
			s.names = new(report.Names)
			fill(r, reflect.ValueOf(s.names).Elem(), 0)
		}
		for range r.IntN(5) {
			e := &report.Entry{Audit: new(report.Audit)}
			fill(r, reflect.ValueOf(e.Audit).Elem(), 0)
			if r.IntN(2) == 0 {
				e.Signer = s.entry.Signer
			}
			s.history = append(s.history, e)
		}
		hold(t, seed, s)
		s.entry.Audit = nil // a header drill, a commitment, or nothing
		hold(t, seed, s)
	}
}

func hold(t *testing.T, seed uint64, s sample) {
	t.Helper()
	checkPage(t, htmlOf(t, s))
	text := textOf(t, s, 100, false)
	for _, word := range []string{"NaN", "Inf", "%!", "\x1b", "<nil>"} {
		if strings.Contains(text, word) {
			t.Errorf("seed %d: the text has %q:\n%s", seed, word, text)
		}
	}
	if t.Failed() {
		t.Fatalf("seed %d", seed)
	}
}

// TestZero shows reports of which nothing is known.
func TestZero(t *testing.T) {
	for _, e := range []*report.Entry{nil, {}, {Audit: &report.Audit{}}, {Drill: &report.HeaderDrill{}}, {Commitment: &report.Commitment{}}, {Trimmed: true, Audit: &report.Audit{Mode: report.ModeDrill}}} {
		hold(t, 0, sample{name: "zero", entry: e})
	}
	var b bytes.Buffer
	if err := page.Text(&b, page.NewView(nil, nil, nil), 0, false); err != nil || !strings.Contains(b.String(), "EMPTY") {
		t.Errorf("nothing is shown as %q, %v", b.String(), err)
	}
}

var (
	oddStrings = []string{"", "a", script, "\x1b[31m", strings.Repeat("x", 5000), "0000000000000000", "8000000000000000", "damage", "tampering", "packs", "coverage", "%s %d", "\xff", "ש", "a b c", "`x`", "protected", "NAN"}
	oddInts    = []int64{0, 1, -1, 2, 999, 1 << 20, 1 << 53, math.MaxInt64, math.MinInt64, math.MaxInt64 / 2}
	oddFloats  = []float64{0, 1, 0.5, -1, 1e-12, 0.999999999, 2, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
	oddTimes   = []time.Time{{}, end, end.Add(-day), end.Add(100 * 365 * day), time.Unix(0, 0), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<40, 0)}
)

// fill draws a value, from what is odd, for everything that can be set.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(oddTimes[r.IntN(len(oddTimes))]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 && depth < 8 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth+1)
		}
	case reflect.Slice:
		n := r.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range oddStrings {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(r, e, depth+1)
			v.SetMapIndex(reflect.ValueOf(k), e)
		}
	case reflect.String:
		v.SetString(oddStrings[r.IntN(len(oddStrings))])
	case reflect.Int64, reflect.Int:
		v.SetInt(oddInts[r.IntN(len(oddInts))])
	case reflect.Float64:
		v.SetFloat(oddFloats[r.IntN(len(oddFloats))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(256)))
	}
}
