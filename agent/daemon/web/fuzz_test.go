package web_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/web"
)

// filler makes values of any type, from a seed: those at the edges of what their types hold, and texts of strangers.
type filler struct{ *rand.Rand }

func pick[T any](f filler, of ...T) T { return of[f.IntN(len(of))] }

func (f filler) fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(pick(f, time.Time{}, noon, noon.Add(time.Duration(f.Int64N(1<<53))), noon.Add(-time.Duration(f.Int64N(1<<53))), time.Unix(1<<40, 0), time.Unix(-1<<40, 0))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Pointer:
		if f.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.Slice:
		n := f.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i))
		}
	case reflect.String:
		v.SetString(pick(f, "", "shop", "..", "</script><b>", "\x00\n\t\u202e\xff", " ", "`a` `b", "%2e%2e/", hashOf("ab"), "pass", "damaged", "protected", "unprotected", "none", "Europe/Berlin", "suspicious"))
	case reflect.Int, reflect.Int64:
		v.SetInt(pick(f, 0, 1, 2, 3, 4, -1, math.MaxInt64, math.MinInt64, f.Int64N(1000)))
	case reflect.Float64:
		v.SetFloat(pick(f, 0, 0.5, 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, f.Float64()*1e6))
	case reflect.Bool:
		v.SetBool(f.IntN(2) > 0)
	}
}

// FuzzViews holds that every page can be made of every state, whatever lacks in it: nothing panics, and what scripts read is JSON.
func FuzzViews(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		fill := filler{rand.New(rand.NewPCG(seed, 1))}
		s := &sample{shelf: &shelf{}}
		for _, part := range []any{&s.status, &s.runs, &s.shelf.reports, &s.shelf.heads, &s.shelf.read, &s.proof} {
			fill.fill(reflect.ValueOf(part).Elem())
		}
		h := s.handler(t)
		all := []string{"/", "/reports", "/heads", "/heads.txt", "/live.json"}
		for i := range s.status.Sources {
			all = append(all, "/source/"+url.PathEscape(s.status.Sources[i].Name))
		}
		for _, path := range all {
			w := get(h, path, nil)
			if w.Code != http.StatusOK && w.Code != http.StatusNotFound {
				t.Errorf("%s: %d", path, w.Code)
			}
			if path == "/live.json" && !json.Valid(w.Body.Bytes()) {
				t.Errorf("no JSON: %.200s", w.Body)
			}
		}
	})
}

// TestPanics holds that a page that breaks, however often, leaves room for the next.
func TestPanics(t *testing.T) {
	s, broken := wellSample(), true
	o := s.options()
	o.Status = func() daemon.Status {
		if broken {
			panic("a fault")
		}
		return s.status
	}
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		for _, path := range []string{"/", "/live.json"} {
			func() {
				defer func() { _ = recover() }() // the server does
				get(h, path, nil)
			}()
		}
	}
	broken = false
	for _, path := range []string{"/", "/live.json"} {
		if w := get(h, path, nil); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
