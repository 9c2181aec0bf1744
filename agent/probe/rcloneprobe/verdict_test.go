package rcloneprobe

import (
	"context"
	"slices"
	"strings"
	"testing"

	"farshore/agent/probe"
	"farshore/providers"
)

// verdict runs the whole probe.
func verdict(ctx context.Context, t *testing.T, a *Attacker, rooms ...string) *probe.Report {
	t.Helper()
	r, err := probe.Run(ctx, providers.New(a.driver, providers.Options{}), a, probe.Options{Rooms: rooms})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestB2Verdict judges keys and buckets: what hides is survived where a lock that nobody can lift lies beneath, and only there.
func TestB2Verdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, extra, mode string
		want              probe.Verdict
	}{
		{"writer under a lock", "", "compliance", probe.Protected},
		{"writer under a lock that can be lifted", "", "governance", probe.Unprotected},
		{"writer without a lock", "", "", probe.Unprotected},
	}
	for _, c := range capabilities {
		tests = append(tests, struct {
			name, extra, mode string
			want              probe.Verdict
		}{c.name, c.name, "compliance", probe.Unprotected})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			keys := slices.Clone(writerKey)
			if test.extra != "" {
				keys = append(keys, test.extra)
			}
			s := newB2(t, keys...)
			s.mode = test.mode
			ctx, a := open(t, s.spec())
			r := verdict(ctx, t, a, "meta", "packs")
			if r.Verdict != test.want || test.extra != "" && !slices.Contains(r.Grants, test.extra) || slices.Contains(r.Grants, "writeFiles") {
				t.Errorf("%s, to take away %q: %s", r.Verdict, r.Grants, r.Words)
			}
			if test.want == probe.Protected && !strings.Contains(r.Words, "leaves the locked original beneath it") {
				t.Errorf("words: %s", r.Words)
			}
		})
	}
}

// TestOpenVerdict judges a store of files that permits everything.
func TestOpenVerdict(t *testing.T) {
	ctx, a := open(t, "rclone::local:"+t.TempDir())
	if r := verdict(ctx, t, a); r.Verdict != probe.Unprotected || len(r.Grants) == 0 {
		t.Errorf("%s, to take away %q: %s", r.Verdict, r.Grants, r.Words)
	}
}
