package intruder

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"farshore/agent/report"
	"farshore/crypto/seal"
)

// TestHeavyReports places reports that are as large as they may be: a ledger of as many arcs, heads and sealed names as fit, among them names that are no end of bytes. They count as what
// they are, and are read within bounds.
func TestHeavyReports(t *testing.T) {
	for _, arcs := range []int{report.MaxArcs, report.MaxArcs - 1} {
		t.Run(fmt.Sprintf("%d arcs", arcs), func(t *testing.T) { heavyReport(t, arcs) })
	}
}

func heavyReport(t *testing.T, arcs int) {
	s, theirs, bad := robbedAudits(t, onDirectory(t))
	a := s.spotless(s.shelf().LastAudit(s.agent.key.ID()).Audit)
	a.Ledger = report.Ledger{Positions: make([]report.Position, report.MaxPositions)}
	for i := range report.MaxPositions {
		for j := range report.MaxPlaces / report.MaxPositions {
			a.Ledger.Positions[i] = append(a.Ledger.Positions[i], report.ChainPosition{Chain: fmt.Sprintf("%032x", j), Seq: int64(i + 1)})
		}
	}
	for i := range arcs {
		a.Ledger.Arcs = append(a.Ledger.Arcs, report.Arc{From: fmt.Sprintf("%016x", uint64(i)<<48), Time: a.Time.Add(-time.Duration(i) * time.Hour), Position: int64(i % report.MaxPositions)})
	}
	a.Sealed = s.bomb()
	s.forge(a)
	forged := s.shelf().LastAudit(s.agent.key.ID())
	if _, err := forged.Audit.OpenNames(s.agentsAudits().ids); err == nil {
		t.Error("names that are zeros without end open")
	}
	own := s.agentsAudits()
	own.now = time.Now().Add(time.Minute)
	began := time.Now()
	own.run(own.options())
	t.Logf("the agent's next audit, which goes by that ledger, took %s", time.Since(began).Round(time.Millisecond))
	must(t, replaceFile(s.at.thief.(fileThief).path(bad), flipped(s.stored(bad))))
	s.unmoved(theirs, bad)
}

// bomb is a sealed file of as many zeros as fit where names are sealed, to who has the metadata key.
func (s *scene) bomb() string {
	s.t.Helper()
	st := s.open(s.at.owner()).Statement()
	var to []string
	for _, r := range st.Recipients {
		to = append(to, r.Recipient)
	}
	sealer, err := seal.NewSealer(to)
	must(s.t, err)
	var out bytes.Buffer
	w, err := sealer.Writer(&out)
	must(s.t, err)
	_, err = io.Copy(w, io.LimitReader(zeros{}, 290_000))
	must(s.t, errors.Join(err, w.Close()))
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
