package web_test

import (
	"net/http"
	"testing"
	"time"

	"farshore/agent/daemon/history"
	"farshore/agent/daemon/web"
)

// BenchmarkOverview makes the first page, and what its script asks for, of 200 sources with a history of 20,000 runs.
func BenchmarkOverview(b *testing.B) {
	s := manySample(200)
	s.runs = nil
	for n := range 100 {
		for i := range s.status.Sources {
			s.runs = append(s.runs, pass(s.status.Sources[i].Name, noon.Add(-time.Duration(n)*7*time.Hour), time.Minute, int64(n)))
		}
	}
	o := s.options()
	o.Runs = func(since time.Time, most int) []history.Run {
		return append([]history.Run(nil), s.runs[:min(most, len(s.runs))]...)
	}
	h, err := web.New(o)
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"/", "/live.json", "/source/bucket-100"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				w := get(h, path, nil)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
				size = w.Body.Len()
			}
			b.ReportMetric(float64(size), "bytes/page")
		})
	}
}
