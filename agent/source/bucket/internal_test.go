package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"farshore/agent/source"
)

func FuzzDecodeKey(f *testing.F) {
	for _, s := range []string{"", "a", "a+b", "a%2Bb", "%", "%2", "%zz", "%FF%00", "a/b%2f", "100%25"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := decodeKey(s)
		want, wantErr := url.QueryUnescape(s)
		if (err != nil) != (wantErr != nil) || err == nil && got != want {
			t.Errorf("decodeKey(%q) = %q, %v; want %q, %v", s, got, err, want, wantErr)
		}
		if back, err := decodeKey(url.QueryEscape(s)); err != nil || back != s {
			t.Errorf("%q came back as %q, %v", s, back, err)
		}
		if back, err := url.PathUnescape(escapePath(s)); err != nil || back != s {
			t.Errorf("escapePath(%q) = %q, which stands for %q, %v", s, escapePath(s), back, err)
		}
	})
}

func FuzzBefore(f *testing.F) {
	for _, s := range []string{"", "a", "b/", "\x00", "a\x00", "a\x01", "é", "\u0080", "\ue000", "\U0010ffff", "\xff", "a\x80", strings.Repeat("k", 1024)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := before(s)
		if s != "" && b >= s {
			t.Errorf("before(%q) = %q, which is not smaller", s, b)
		}
		if utf8.ValidString(s) && !utf8.ValidString(b) {
			t.Errorf("before(%q) = %q, which is not UTF-8", s, b)
		}
		if len(s) <= maxKey && len(b) > maxKey {
			t.Errorf("before a key of %d bytes is one of %d", len(s), len(b))
		}
	})
}

func TestBefore(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "b": "a\U0010FFFF", "dir/": "dir.\U0010FFFF", "a\x00": "a", "a\x01": "a", "\u0080": "\u007f\U0010FFFF", "\ue000": "\ud7ff\U0010FFFF",
		"a\xff": "a\xfe\xff", strings.Repeat("k", 1024): strings.Repeat("k", 1023) + "j",
	} {
		if got := before(path); got != want {
			t.Errorf("before(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	type key struct {
		path  string
		first bool
	}
	for name, c := range map[string]struct {
		keys []key
		ok   bool
		n    int
	}{
		"ascending":            {[]key{{"a", true}, {"a\x00", false}, {"b", true}}, true, 3},
		"marker repeated":      {[]key{{"a", true}, {"b", false}, {"b", true}, {"c", false}}, true, 3},
		"repeated in the page": {[]key{{"a", true}, {"a", false}}, false, 0},
		"descending":           {[]key{{"b", true}, {"a", false}}, false, 0},
		"an older page again":  {[]key{{"a", true}, {"b", false}, {"a", true}}, false, 0},
		"empty path first":     {[]key{{"", true}, {"a", false}}, true, 2},
		"empty path repeated":  {[]key{{"", true}, {"", false}}, false, 0},
	} {
		var o order
		var err error
		n := 0
		for _, k := range c.keys {
			var fresh bool
			if fresh, err = o.next(k.path, k.first); err != nil {
				break
			}
			if fresh {
				n++
			}
		}
		if (err == nil) != c.ok || c.ok && n != c.n {
			t.Errorf("%s: %d keys, %v", name, n, err)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		r    source.Range
		want string
	}{
		{source.Range{}, "[ ..]"},
		{source.Range{Splits: []string{"m", "c", "m", ""}}, "[ ..c] [c..m] [m..]"},
		{source.Range{From: "c", To: "m", Splits: []string{"a", "c", "d", "m", "z"}}, "[c..d] [d..m]"},
		{source.Range{From: "m", To: "c", Splits: []string{"d"}}, ""},
		{source.Range{From: "m", To: "m"}, ""},
	} {
		var got []string
		for _, r := range cut(c.r) {
			got = append(got, fmt.Sprintf("[%s..%s]", orSpace(r.From), r.To))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%+v is cut to %s, want %s", c.r, s, c.want)
		}
	}
}

func orSpace(s string) string {
	if s == "" {
		return " "
	}
	return s
}

func TestGateAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(64)
		enter := func() {
			t.Helper()
			if err := g.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 2000 {
			enter()
			g.leave(true, false)
		}
		if g.limit < 63 {
			t.Errorf("after many successes the limit is %v, want 64", g.limit)
		}
		time.Sleep(2 * time.Second)
		for range 5 { // one answer "slow down" comes seldom alone
			enter()
			g.leave(false, true)
		}
		if g.limit < 31 || g.limit > 32 {
			t.Errorf("the limit is %v, want it halved once", g.limit)
		}
		for range 10 {
			time.Sleep(time.Second)
			enter()
			g.leave(false, true)
		}
		if g.limit != 1 {
			t.Errorf("the limit is %v, want 1", g.limit)
		}
	})
}

func TestGateIsFairAndLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4) // begins with one place
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone, came := make(chan error, 1), make(chan error, 1)
		go func() { gone <- g.enter(ctx) }()
		synctest.Wait()
		go func() { came <- g.enter(t.Context()) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled one: %v", err)
		}
		select {
		case <-came:
			t.Error("two inside, with one place")
		default:
		}
		g.leave(false, false)
		if err := <-came; err != nil {
			t.Error(err)
		}
		g.leave(false, false)
		if g.inside != 0 || len(g.waiting) != 0 {
			t.Errorf("%d inside and %d waiting at the end", g.inside, len(g.waiting))
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := attempts{retry: Options{}.withDefaults().Retry}
		boom := &apiError{status: 500, code: "InternalError"}
		began, n := time.Now(), 0
		var err error
		for ; err == nil; n++ {
			err = a.failed(t.Context(), boom)
		}
		var ex *exhausted
		if !errors.As(err, &ex) || !errors.Is(err, boom) || n < 10 {
			t.Errorf("%d attempts, then %v", n, err)
		}
		if took := time.Since(began); took < 100*time.Second || took > 2*time.Minute {
			t.Errorf("patience lasted %v, want about 2 minutes", took)
		}
		if err := new(attempts).failed(t.Context(), &apiError{status: 403}); err == nil {
			t.Error("a refusal is tried again")
		}
	})
}
