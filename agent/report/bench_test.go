package report

import "testing"

// BenchmarkDecodeAudit decodes an audit of some size: a shelf decodes each that it has.
func BenchmarkDecodeAudit(b *testing.B) {
	a := huge()
	a.Heads, a.Findings, a.Sources, a.Damaged = a.Heads[:200], nil, nil, nil
	a.Fit()
	body := encoded(b, a)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeAudit(body); err != nil {
			b.Fatal(err)
		}
	}
}
