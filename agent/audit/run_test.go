package audit

import (
	"testing"

	"farshore/agent/report"
	"farshore/providers/mem"
)

func TestRunWhole(t *testing.T) {
	r := newRig(t, mem.New()).fill(6)
	res := r.run(r.defaults())
	a := res.Audit
	if a.Verdict != report.VerdictIntact || a.End != report.EndDone || res.Name == "" {
		t.Fatalf("verdict %s, end %s, name %q: %+v", a.Verdict, a.End, res.Name, res.Findings)
	}
	t.Logf("%s", a.Line())
	if p := part(t, a, report.PartPacks); p.Planned != 6 || p.Intact != 6 {
		t.Errorf("packs: %+v", p)
	}
	if a.Coverage.Never != 0 || a.Coverage.Verified != a.Population.Packs+a.Population.Pages {
		t.Errorf("coverage: %+v", a.Coverage)
	}
	t.Logf("%+v", a)
}
