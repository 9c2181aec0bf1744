package web_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/daemon/web"
)

// TestVerdict changes one thing of a daemon that is well: nothing is claimed any more that is not known.
func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *sample)
		word   string
		says   string // somewhere in what the first page says
		never  string
	}{
		"nothing":                   {func(s *sample) {}, "All well", "4 of 4 sources known to be fresh enough", "not known"},
		"a proof that is over":      {func(s *sample) { s.proof.Expires = noon.Add(-time.Second) }, "Needs a look", "That it can only add was proved until 12:59 CET", `"Protected"`},
		"a proof without an end":    {func(s *sample) { s.proof.Expires = time.Time{} }, "All well", "the store denied", "holds until"},
		"nothing of the credential": {func(s *sample) { s.proof, s.status.Probe = nil, nil }, "No trouble known", "nothing is known of the agent's credential", "Protected"},
		"a probe that could not be made": {func(s *sample) {
			s.proof, s.status.Probe.Last.Probe = nil, nil
			fail(s.status.Probe.Last, 1, "store", "no answer", "")
		}, "Needs a look", "The last probe of the credential could not be made", "Protected"},
		"a proof that is none":  {func(s *sample) { s.proof.Verdict = "unproven" }, "Needs a look", "UNPROVEN", `"Protected"`},
		"no protection":         {func(s *sample) { s.proof.Verdict = "unprotected" }, "Needs you now", "It may destroy what the vault holds", `"Protected"`},
		"none that is required": {func(s *sample) { s.proof.Verdict, s.proof.Required = "unprotected", "none" }, "Needs a look", "require: none", `"Protected"`},
		"no audit":              {func(s *sample) { s.status.Verify, s.shelf.reports = nil, nil }, "No trouble known", "no audit of the vault is known", "Intact"},
		"another's audit":       {func(s *sample) { s.status.Verify = nil }, "All well", "Intact", "stored bytes were read"},
		"another's newer audit": {func(s *sample) {
			s.shelf.reports[0].Verdict, s.shelf.reports[0].Time = "tampered", noon.Add(-time.Hour)
		}, "Suspicious", "found it tampered", ""},
		"nobody said how old":     {func(s *sample) { s.status.Sources[1].MaxAgeSeconds = 0 }, "No trouble known", "nobody said how old it may be", ""},
		"no good snapshot":        {func(s *sample) { s.status.Sources[1].Good = nil }, "No trouble known", "no good snapshot is known yet", "4 of 4"},
		"late without any":        {func(s *sample) { s.status.Sources[1].Good, s.status.Sources[1].Late = nil, true }, "Needs you now", "invoices: no good snapshot is known, and one may be 2 h old", ""},
		"a refused configuration": {func(s *sample) { s.status.Config.Problem = "line 3 is wrong" }, "Needs you now", "Line 3 is wrong", ""},
		"stopping":                {func(s *sample) { s.status.Stopping = true }, "Stopping", "nothing is begun", "All well"},
		"no source":               {func(s *sample) { s.status.Sources = nil }, "Nothing to protect", "farshore source add", "All well"},
		"stopped by the end": {func(s *sample) {
			r := s.status.Sources[0].Last
			r.Exit, r.Stopped, r.Pass.Complete = 130, true, false
		}, "All well", "stopped, began", ""},
		"all late": {func(s *sample) {
			for i := range s.status.Sources {
				s.status.Sources[i].Late, s.status.Sources[i].AgeSeconds = true, 90000
			}
		}, "Needs you now", "1 d 1 h old, and may be 2 h. And 3 more things below", ""},
		"a stuck run": {func(s *sample) {
			s.status.Sources[0].Running = &daemon.RunningStatus{Since: noon.Add(-time.Hour), Moved: noon.Add(-40 * time.Minute), Cause: history.CauseTrigger}
		}, "All well", "nothing moved for 40 min", "0 of"},
	} {
		t.Run(name, func(t *testing.T) {
			s := wellSample()
			c.change(s)
			body := get(s.handler(t), "/live.json", nil).Body.String()
			var live struct{ Word string }
			if err := json.Unmarshal([]byte(body), &live); err != nil {
				t.Fatal(err)
			}
			if live.Word != c.word {
				t.Errorf("it says %q, want %q", live.Word, c.word)
			}
			if !strings.Contains(body, c.says) || c.never != "" && strings.Contains(body, c.never) {
				t.Errorf("it should say %q and never %q: %s", c.says, c.never, body)
			}
		})
	}
}

// TestHash asks for reports by what is no hash: the shelf is never asked.
func TestHash(t *testing.T) {
	s := wellSample()
	asked := 0
	s.shelf.page = func(context.Context, string) ([]byte, error) { asked++; return nil, web.ErrNoReport }
	h := s.handler(t)
	for _, hash := range []string{strings.Repeat("g", 64), strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("a", 65), strings.Repeat("a", 62) + "..", "../" + strings.Repeat("a", 61)} {
		if w := get(h, "/report/"+hash, nil); w.Code != 404 || asked != 0 {
			t.Errorf("%s: %d, the shelf was asked %d times", hash, w.Code, asked)
		}
	}
	if get(h, "/report/"+hashOf("a"), nil); asked != 1 {
		t.Error("the shelf was not asked for a hash")
	}
}

func TestHeadText(t *testing.T) {
	for want, h := range map[string]web.Head{
		"17:" + strings.Repeat("ab", 16): {Seq: 17, Hash: strings.Repeat("ab", 32)}, "1:abc": {Seq: 1, Hash: "abc"}, "0:": {},
	} {
		if got := h.Text(); got != want {
			t.Errorf("%+v is %q, want %q", h, got, want)
		}
	}
}
