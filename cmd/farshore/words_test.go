package main

import (
	"bufio"
	"net/http"
	"os"
	"strings"
	"testing"

	"farshore/agent/probe"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// remote writes a configuration whose vault is at the rig's server, in a bucket of the name.
func (r *rig) remote(bucket string) string {
	r.t.Helper()
	text, err := os.ReadFile("farshore.yaml")
	if err != nil {
		r.t.Fatal(err)
	}
	changed := strings.Replace(string(text), r.vault(), "'"+r.server.URL(bucket, "vault")+"'", 1)
	if changed == string(text) {
		r.t.Fatal("the configuration does not name the vault")
	}
	if err := os.WriteFile("remote.yaml", []byte(changed), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return "remote.yaml"
}

// TestProbeNeedsAStoreThatAnswers holds the probe, and the agent, to one clear failure where nothing could be tried: a bucket that is not there, a credential that nobody
// knows, a profile that there is not.
func TestProbeNeedsAStoreThatAnswers(t *testing.T) {
	r := newShop(t)
	missing := r.remote("no-such-bucket")
	for _, command := range []string{"probe", "replicate"} {
		d, env := r.json(nil, command, "--config", missing)
		if d.ends(exitFailed); env.Error.Code != "not-found" || !strings.Contains(env.Error.Message, "whether it answers") {
			t.Errorf("%s at a bucket that is not there: %+v", command, env.Error)
		}
	}
	there := r.remote(r.bucket)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	d, env := r.json(nil, "probe", "--config", there)
	if d.ends(exitFailed); env.Error.Code != "unauthenticated" || !strings.Contains(env.Error.Hint, "AWS_PROFILE") || env.Result != nil {
		t.Errorf("probe without a credential: %+v", env)
	}
	t.Setenv("AWS_PROFILE", "mistyped")
	r.run("probe", "--config", there).ends(exitFailed).warns("mistyped", "hint: AWS_PROFILE, or ?profile=")
}

// TestProbeGoesOnAfterADenial holds the probe to try what a credential may do that may not list.
func TestProbeGoesOnAfterADenial(t *testing.T) {
	r := newShop(t)
	r.gate.set(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "<Error><Code>AccessDenied</Code><Message>nothing at all</Message></Error>", http.StatusForbidden)
		return true
	})
	r.run("probe", "--config", r.remote(r.bucket)).ends(exitIncomplete).says("NOT PROVEN").
		warns("it may not do what the role writer must, or it is another credential than is meant", "`farshore policy --role writer`")
	r.run("probe", "--role", "auditor", "--config", r.remote(r.bucket)).ends(exitIncomplete).warns("`farshore policy --role auditor`")
}

// TestProbeSaysOnce holds the probe's text to say what came back once for all probes and rooms where it was the same, and to say nothing of denials.
func TestProbeSaysOnce(t *testing.T) {
	r := &probe.Report{Role: probe.Writer, Verdict: probe.Unprotected, Words: "unprotected: it may"}
	for _, room := range []string{"packs", "meta"} {
		for _, name := range []string{"overwrite", "copy-onto"} {
			r.Attempts = append(r.Attempts, probe.Attempt{Room: room, Probe: name, Property: probe.CreateOnly, Answer: probe.Permitted, Code: "HTTP 200", Text: "the store did it", Grant: "s3:PutObject"})
		}
		r.Attempts = append(r.Attempts,
			probe.Attempt{Room: room, Probe: "delete", Property: probe.NoDestroy, Answer: probe.Denied, Text: "Access Denied"},
			probe.Attempt{Room: room, Probe: "create", Property: probe.Control, Answer: probe.Unknown, Text: "no answer"},
			probe.Attempt{Room: room, Probe: "create", Property: probe.Control, Answer: probe.Unknown, Text: "no answer"})
	}
	var b strings.Builder
	p := &printer{w: bufio.NewWriter(&b)}
	probeResult{r}.text(p)
	if err := p.w.Flush(); err != nil || p.err != nil {
		t.Fatal(err, p.err)
	}
	got := b.String()
	for _, want := range []string{
		"\noverwrite, copy-onto permitted in packs, meta: HTTP 200: the store did it (granted by s3:PutObject)\n",
		"\ncreate unknown in packs, meta: no answer\n",
		"credential  whose it is, the store does not tell\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, got)
		}
	}
	if strings.Contains(got, "Access Denied") {
		t.Errorf("a denial is told at length:\n%s", got)
	}
}

// TestUnprotectedSaysGrantsOnce holds the failure to name what to take away once.
func TestUnprotectedSaysGrantsOnce(t *testing.T) {
	for _, words := range []string{"unprotected: it may delete: take away s3:DeleteObject", "unprotected: it may delete"} {
		f := unprotected(&probe.Report{Role: probe.Writer, Words: words, Grants: []string{"s3:DeleteObject"}})
		if all := f.Error() + f.hint; strings.Count(all, "s3:DeleteObject") != 1 || !strings.Contains(all, "--role writer") {
			t.Errorf("%s", all)
		}
	}
}

// TestSettingsNameWhatIsUnknown holds init, locks and probe to say what could not be read, and why.
func TestSettingsNameWhatIsUnknown(t *testing.T) {
	got := keepsOf(providers.Settings{Unknown: map[string]string{"all": "not asked"}}).Means
	if want := "whether objects are locked could not be read (not asked): as far as is known, " + credentialAlone; len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
}

// TestPlaceRefusesDraft tells a draft from a statement that is not well-formed.
func TestPlaceRefusesDraft(t *testing.T) {
	r := newRig(t)
	draft := r.draft("agent", "retire", r.key("keys")).Draft
	r.run("vault", "place", draft).ends(exitUsage).warns(draft+" is a draft, which the owner has not signed yet", "hint: sign it where owner.key is")
	r.ok("vault", "place", r.sign(draft)).says("is placed")
}

// TestAlarmingHints tells what was done to the store from what is damaged.
func TestAlarmingHints(t *testing.T) {
	tampering := findingResult{Severity: string(vault.Tampering)}
	for _, tt := range []struct {
		findings []findingResult
		hint     string
	}{
		{[]findingResult{tampering}, "which credential"},
		{[]findingResult{tampering, {Severity: string(vault.Damage)}}, "older versions of damaged or missing objects"},
	} {
		if f := classify(t.Context(), alarming(tt.findings)); f.exit != exitDamage || !strings.Contains(f.hint, tt.hint) {
			t.Errorf("%+v: %+v", tt.findings, f)
		}
	}
	if err := alarming([]findingResult{{Severity: string(vault.Notice)}}); err != nil {
		t.Errorf("a notice is a failure: %v", err)
	}
}

// TestDrillHints tells packs that were overwritten or hidden from those that a stranger can read.
func TestDrillHints(t *testing.T) {
	for kind, want := range map[string]string{report.Hidden: "overwrote or hid", report.ExtraRecipient: "a recipient too many"} {
		d := &report.HeaderDrill{Drawn: 2, Opened: 2, Findings: []report.Finding{{Kind: kind}}}
		if f := classify(t.Context(), drillVerdict(d)); f.exit != exitDamage || !strings.Contains(f.hint, want) || !strings.Contains(f.Error(), "there is 1 other finding") {
			t.Errorf("%s: %+v", kind, f)
		}
	}
}

// TestLocksTellsNamesakesApart names the chain where two are of sources with one name.
func TestLocksTellsNamesakesApart(t *testing.T) {
	s := sourceLockResult{Chain: "c0ffee", Source: "shop", Seq: 3}
	if got := s.title(); got != "shop@3" {
		t.Errorf("%q", got)
	}
	if s.namesake = true; s.title() != "shop c0ffee@3" {
		t.Errorf("%q", s.title())
	}
}
