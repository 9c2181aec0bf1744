package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"farshore/agent/audit"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/sign"
)

// planned is what verify --dry-run prints of an estimate for a vault at an address: 1 GB to read.
func planned(t *testing.T, address string, want ...string) string {
	t.Helper()
	est := &audit.Estimate{Bytes: 1e9, Promises: []audit.Promise{{Days: 90, DayBytes: 1e9}}}
	r := &planResult{VaultID: "x", Estimate: est, Cost: runCost(address, est), PromiseCosts: promiseCosts(address, est.Promises)}
	var b bytes.Buffer
	p := &printer{w: bufio.NewWriter(&b)}
	r.text(p)
	if err := p.w.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(b.String(), w) {
			t.Errorf("%q does not have %q", b.String(), w)
		}
	}
	return b.String()
}

// loads are what makes a page load something.
var loads = regexp.MustCompile(`(?i)<script|<link[^>]*href="[^d]|<img|<iframe|<object|\bsrc=|@import|url\(|https?://`)

// TestReportShow shows a report in its three forms: the JSON is what was signed, byte for byte, and as the schema says; the page loads nothing.
func TestReportShow(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	r := newShop(t)
	r.pass()
	var v verifyResult
	r.json(&v, "verify", "--identity", "kit/recovery.key")
	stored := files(t, "vault")[v.Report]
	signed, err := sign.Parse(sign.KindReport, []byte(stored))
	if err != nil {
		t.Fatal(err)
	}
	d := r.ok("report", "show", "--format", "json")
	if d.stdout != string(signed.JSON)+"\n" {
		t.Errorf("the JSON is not what was signed: %s", d.stdout)
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(d.stdout))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(body); err != nil {
		t.Error(err)
	}
	var shown shownReport
	r.json(&shown, "report", "show", v.Hash[:12])
	if shown.Hash != v.Hash || !json.Valid(shown.Report) || shown.Names == nil || shown.Names.Sources == nil {
		t.Errorf("%+v", shown)
	}
	r.ok("report", "show", "--format", "html", "-o", "page.html").says("wrote page.html", "intact")
	page, err := os.ReadFile("page.html")
	if err != nil || loads.Match(page) || !bytes.Contains(page, []byte("</html>")) || !bytes.Contains(page, []byte("shop")) {
		t.Errorf("%v: the page has %q", err, loads.FindAll(page, -1))
	}
	r.run("report", "show", "-o", "page.html").ends(exitUsage).warns("exists already")
	if again := r.ok("report", "show", "--format", "html"); !strings.Contains(again.stdout, "</html>") {
		t.Error("no page on stdout")
	}
	r.run("report", "show", "--format", "html", "--json").ends(exitUsage)
	r.run("report", "show", "--format", "pdf").ends(exitUsage).warns("text, json or html")
	r.ok("report", "show").says("INTACT", "shop", "SHA-256", v.Hash)
	for _, id := range []string{"none", "01234567", v.Signer + "/99", v.Signer + "/x", ""} {
		r.run("report", "show", id).ends(exitUsage)
		r.run("report", "check", id).ends(exitUsage)
	}
	r.ok("report", "check").says("recomputed: the verdict intact", "comes to: intact, with which such a run ends with exit code 0", "the signer's word: that the objects which count as intact were whole")
	r.run("report", "check", v.Signer+"/1").ends(exitUsage).warns("is the commitment of an audit")
	r.run("report", "list", "--most", "0").ends(exitUsage)
	t.Chdir(t.TempDir())
	r.ok("report", "show", "--vault", r.vault()).says("INTACT").lacks("shop")
	r.ok(r.bare("report", "show")...).says("shop")
}

// TestReportCheckForged has the agent's own key sign numbers that do not come out: check says which, and ends with exit code 4.
func TestReportCheckForged(t *testing.T) {
	for name, forge := range map[string]struct {
		change func(*report.Audit)
		want   string
	}{
		"a bound": {func(a *report.Audit) {
			a.Bounds[slices.IndexFunc(a.Bounds, func(b report.Bound) bool { return b.Unit == report.UnitBytes })].Upper95 /= 2
		}, "bounds"},
		"a verdict":    {func(a *report.Audit) { a.Verdict = report.VerdictTampered }, "the verdict"},
		"a draw":       {func(a *report.Audit) { a.Parts[0].Digest[0] ^= 1 }, "part "},
		"a population": {func(a *report.Audit) { a.Population.Pages++; a.Inventory.Present++ }, "how many objects"},
		"a seed":       {func(a *report.Audit) { a.Seed[0] ^= 1 }, "seed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newShop(t)
			r.pass()
			r.put(map[string]string{"c": "delta"})
			r.pass()
			// The audit itself is signed by nobody; its commitment and the forged report are the agent's.
			r.signing(func(v *vault.Vault, id record.Hash, k sign.PrivateKey) {
				res, err := audit.Run(t.Context(), v, audit.Options{Program: "test", Bytes: 1000})
				if err != nil {
					t.Fatal(err)
				}
				a := res.Audit
				c := &report.Commitment{Vault: id, Time: a.Started, Statement: a.Statement, Seed: sha256.Sum256(a.Seed[:]), Heads: a.Heads, Budget: a.Budget}
				_, stored, err := report.Place(t.Context(), v, c, k)
				if err != nil {
					t.Fatal(err)
				}
				hash := record.Hash(sha256.Sum256(stored))
				a.Commitment = &hash
				forge.change(a)
				if _, _, err := report.Place(t.Context(), v, a, k); err != nil {
					t.Fatal(err)
				}
			})
			d := r.run("report", "check").ends(exitDamage).warns("the report is not what it says", "hint: do not rely on it")
			if !regexp.MustCompile(`NOT AS IT SAYS: [^\n]*` + forge.want).MatchString(d.stdout) {
				t.Errorf("nothing of %q", forge.want)
			}
			var c checkedReport
			if d, env := r.json(&c, "report", "check"); d.code != exitDamage || env.Error.Code != codeDamage || c.Checked == nil || len(c.Lies) == 0 {
				t.Errorf("%+v, %+v", env.Error, c)
			}
		})
	}
}

// TestReportAbandoned lists a commitment whose audit never came: as under way while that may still be, then as abandoned.
func TestReportAbandoned(t *testing.T) {
	r := newShop(t)
	r.pass()
	r.signing(func(v *vault.Vault, id record.Hash, k sign.PrivateKey) {
		c := &report.Commitment{Vault: id, Time: time.Now().UTC(), Statement: 1, Seed: record.Hash{1}}
		if _, _, err := report.Place(t.Context(), v, c, k); err != nil {
			t.Fatal(err)
		}
	})
	r.ok("report").says("no reports yet", "under way, or stopped").lacks("ABANDONED")
	r.at(25*time.Hour, "report").ends(exitDone).says("ABANDONED", "left no report").lacks("under way")
	r.ok("verify")
	var list reportList
	r.json(&list, "report", "list")
	if len(list.Reports) != 1 || len(list.Abandoned) != 1 || !list.Abandoned[0].UnderWay || list.Abandoned[0].Role != "agent" {
		t.Errorf("%+v", list)
	}
	r.ok("verify")
	r.ok("report", "list", "--most", "1").says("1 more report not listed")
}
