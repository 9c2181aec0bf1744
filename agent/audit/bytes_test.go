package audit

import (
	"strings"
	"testing"

	"farshore/agent/report"
	"farshore/agent/verify/bound"
	"farshore/providers/mem"
)

// TestBytesKnown holds that the damaged share of bytes is stated exactly where every pack was dealt with: of the packs that are damaged, or that the store did not give, all
// bytes, and of the others none, whatever positions were drawn. Else it is reckoned from these.
func TestBytesKnown(t *testing.T) {
	for _, c := range []struct {
		name string
		of   scene
		full bool
	}{
		{"whole", whole, false}, {"one damaged", hurt, false}, {"one not given", kept, false},
		{"whole, in full", whole, true}, {"one damaged, in full", hurt, true}, {"one not given, in full", kept, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, o := c.of.begin(t, c.of.vault(t))
			run := Run
			if c.full {
				run = Full
			}
			v := r.open(r.d)
			res, err := run(t.Context(), v, o)
			must(t, err)
			r.sound(v, res)
			r.check(res)
			want, n := int64(0), res.Audit.Population.PackBytes
			if c.of != whole {
				want = int64(len(r.d.Objects()[r.packs()[1]]))
			}
			if b := bytesOf(res.Audit); b != bound.Of(report.UnitBytes, n, n, want, false) || b.Method != report.MethodCensus {
				t.Errorf("%+v, want %d of %d bytes", b, want, n)
			}
		})
	}
	r, o := sampled.begin(t, sampled.vault(t))
	res := r.run(o)
	p := part(t, res.Audit, report.PartBytes)
	if b := bytesOf(res.Audit); b.Method != report.MethodBinomial || b.Sampled != p.Checked || b.Upper95 == 0 {
		t.Errorf("of a sample: %+v, of %+v", b, p)
	}
}

// bytesOf is the bound of bytes.
func bytesOf(a *report.Audit) report.Bound {
	for _, b := range a.Bounds {
		if b.Unit == report.UnitBytes {
			return b
		}
	}
	return report.Bound{}
}

// TestBytesOfFailed holds that packs are told apart by their sizes where several are damaged.
func TestBytesOfFailed(t *testing.T) {
	d := mem.New()
	r := newRig(t, d)
	r.src.All["large"] = noise(200_000)
	r.fill(4)
	want := int64(0)
	for _, name := range r.packs()[1:4] {
		d.Set(name, flip(d.Objects()[name]))
		want += int64(len(d.Objects()[name]))
	}
	res := r.run(r.defaults())
	if b := bytesOf(res.Audit); b.Failed != want || b.Upper95 < float64(want)/float64(b.Population) || b.Upper95 == 1 {
		t.Errorf("%+v, want %d bytes", b, want)
	}
	if c := r.check(res); !strings.Contains(strings.Join(c.Recomputed, "\n"), "bytes of the packs that are not whole") || c.Verdict != report.VerdictDamaged {
		t.Errorf("%q, %s", c.Recomputed, c.Verdict)
	}
}
