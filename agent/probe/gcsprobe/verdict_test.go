package gcsprobe

import (
	"net/url"
	"slices"
	"testing"

	"farshore/agent/probe"
	"farshore/providers"
	"farshore/providers/gcs"
)

// TestVerdict runs the whole probe: a writer's role is protected, and with any one permission more it is not, and the report says which to take away.
func TestVerdict(t *testing.T) {
	extras := []string{""}
	for _, p := range permissions {
		extras = append(extras, p.name)
	}
	for _, extra := range extras {
		t.Run(extra, func(t *testing.T) {
			granted := slices.Clone(writerRole)
			want, grants := probe.Protected, []string(nil)
			if extra != "" {
				granted = append(granted, extra)
				want, grants = probe.Unprotected, []string{extra}
			}
			s, endpoint := newStrict(t, granted...)
			s.populate()
			ctx, a := attacker(t, endpoint)
			d, err := gcs.Open(ctx, "gs://vault/deep/er?endpoint="+url.QueryEscape(endpoint), gcs.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			r, err := probe.Run(ctx, providers.New(d, providers.Options{}), a, probe.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != want || !slices.Equal(r.Grants, grants) {
				t.Errorf("%s, to take away %q: %s", r.Verdict, r.Grants, r.Words)
			}
		})
	}
}
