package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// away is newShop with a snapshot, seen from a machine of the owner's, which has the recovery kit and no configuration.
func away(t *testing.T) *rig {
	t.Helper()
	r := newShop(t)
	r.ok("replicate")
	t.Chdir(t.TempDir())
	return r
}

// drill are the arguments of a drill with the recovery kit.
func (r *rig) drill(more ...string) []string {
	return r.bare(append([]string{"drill", "header"}, more...)...)
}

func (r *rig) signedByOwner() []string { return []string{"--owner", r.path("kit", "owner.key")} }

// TestDrillHeader drills, signs, places, and finds it on record.
func TestDrillHeader(t *testing.T) {
	r := away(t)
	r.ok(r.bare("snapshots")...).says("header drill: none on record")
	before := files(t, r.path("vault"))
	r.ok(r.drill()...).says("1 pack drawn at random, of 1 that commits name", "1 header opened by the recovery identity, 0 not, 0 could not be read", "NOT SIGNED, and not on record")
	if !maps.Equal(files(t, r.path("vault")), before) {
		t.Error("a drill without --owner wrote to the vault")
	}
	var d drillResult
	r.json(&d, r.drill(append(r.signedByOwner(), "--count", "100000")...)...)
	if d.Population != 1 || d.Drawn != 1 || d.Opened != 1 || len(d.Findings) != 0 || d.Report == "" || d.Signer == "" || len(d.Heads) != 1 || d.Recovery != 1 {
		t.Errorf("%+v", d)
	}
	after := files(t, r.path("vault"))
	if len(after) != len(before)+1 || after[d.Report] == "" {
		t.Errorf("%d objects, %d before", len(after), len(before))
	}
	r.ok(r.bare("snapshots")...).says("header drill of 20", "by the owner (key "+d.Signer+")", "the recovery key opened 1 of 1 header drawn")
	r.ok(r.bare("verify")...).says("header drill of 20")
	var v verifyResult
	if r.json(&v, r.bare("verify")...); v.Audit.Keys.DrillOpened != 1 || v.Audit.Keys.DrillDrawn != 1 || v.Audit.Keys.DrillTime.IsZero() {
		t.Errorf("%+v", v.Audit.Keys)
	}
	r.ok(r.drill(r.signedByOwner()...)...).says("placed as reports/" + d.Signer + "/0000000002")
}

// TestDrillOut writes the report to a file and places it later, with no key at all.
func TestDrillOut(t *testing.T) {
	r := away(t)
	r.ok(r.drill(append(r.signedByOwner(), "--out", "drill.report")...)...).says("signed by", "written to drill.report: `farshore drill place drill.report` places it")
	r.run(r.drill("--out", "drill.report")...).ends(exitUsage).warns("drill.report exists already")
	r.ok(r.drill(append(r.signedByOwner(), "--out", "late.report")...)...)
	r.ok(r.drill("--out", "plain.json")...).says("NOT SIGNED: it can't be placed")
	body, err := os.ReadFile("plain.json")
	if err != nil || !json.Valid(body) {
		t.Errorf("%q, %v", body, err)
	}
	place := []string{"--vault", r.vault()}
	r.ok(append([]string{"drill", "place", "drill.report"}, place...)...).says("the report placed as reports/")
	r.ok(append([]string{"drill", "place", "drill.report"}, place...)...).says("is there already as reports/")
	r.run(append([]string{"drill", "place", "late.report"}, place...)...).ends(exitUsage).warns("another report of this key was placed", "hint: reports of one key form a chain")
	r.run(append([]string{"drill", "place", "plain.json"}, place...)...).ends(exitUsage).warns("no report that can be placed", "without a signature is not placed")
	r.run(append([]string{"drill", "place", "none"}, place...)...).ends(exitUsage)
	r.ok(r.bare("snapshots")...).says("header drill of 20")
}

// TestDrillWrongKey holds a key that opens nothing to exit code 4, and to be called by its name.
func TestDrillWrongKey(t *testing.T) {
	r := away(t)
	identity, _, err := seal.GenerateHybrid()
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteRecovery("other.key", identity, "", ""); err != nil {
		t.Fatal(err)
	}
	owner, err := keyring.ReadOwnerKey(r.path("kit", "owner.key"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"drill", "header", "--vault", r.vault(), "--identity", "other.key", "--owner-pub", owner.Public().String()}
	r.run(args...).ends(exitDamage).says("0 headers opened by the recovery identity, 1 not", "wrong-key").
		warns("the identity is none of the vault's recovery identities", "opened none of 1 header", "hint: compare its recipient")
	// The failure is put on record, too.
	r.run(append(args, r.signedByOwner()...)...).ends(exitDamage).says("placed as")
	r.ok(r.bare("snapshots")...).says("the recovery key opened 0 of 1 header drawn, 1 FAILED")
	r.run("drill", "header", "--vault", r.vault()).ends(exitUsage).warns("needs the recovery identity")
	r.run(r.drill("--count", "0")...).ends(exitUsage)
	r.run(r.drill("--owner", r.path("keys", "agent.key"))...).ends(exitUsage).warns("agent's signing key")
	stranger, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteOwnerKey("stranger.key", stranger); err != nil {
		t.Fatal(err)
	}
	r.run(r.drill("--owner", "stranger.key")...).ends(exitUsage).warns("did not name the key")
}

// TestDrillFindings damages packs: what does not open is named, and the report says so.
func TestDrillFindings(t *testing.T) {
	r := away(t)
	packs, err := filepath.Glob(r.path("vault", "packs", "*", "*"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	stored, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, says string }{{"stanza", "damaged"}, {"cut", "damaged"}, {"gone", "missing"}} {
		if err := os.RemoveAll(packs[0]); err != nil {
			t.Fatal(err)
		}
		bad := map[string][]byte{"stanza": bytes.Replace(stored, []byte("\n->"), []byte("\n-> junk x\n\n->"), 1), "cut": stored[:100]}[c.name]
		if bad != nil {
			if err := os.WriteFile(packs[0], bad, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		name, err := filepath.Rel(r.path("vault"), packs[0])
		if err != nil {
			t.Fatal(err)
		}
		r.run(r.drill()...).ends(exitDamage).says(name + ": " + c.says)
	}
}

// TestDrillEmpty drills a vault that has no pack: nothing is proved, and nothing is put on record.
func TestDrillEmpty(t *testing.T) {
	r := newRig(t)
	before := files(t, "vault")
	r.run(r.drill(r.signedByOwner()...)...).ends(exitIncomplete).says("0 packs drawn").warns("there is nothing to try the recovery key on")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("a report was placed")
	}
}

// TestDrillDenied has a credential that may not create reports: the result is not lost.
func TestDrillDenied(t *testing.T) {
	r := newRig(t)
	vaultURL := r.server.URL(r.server.Bucket(t), "v")
	if err := os.Mkdir("far", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir("far")
	r.ok("init", "--vault", vaultURL, "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	r.settle("require: none")
	r.put(map[string]string{"a": "alpha"})
	r.ok("source", "add", "shop", r.url())
	r.ok("replicate")
	r.gate.set(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPut || !strings.Contains(q.URL.Path, "/reports/") {
			return false
		}
		http.Error(w, "<Error><Code>AccessDenied</Code><Message>not there</Message></Error>", http.StatusForbidden)
		return true
	})
	t.Chdir(t.TempDir())
	kit := []string{"--vault", vaultURL, "--identity", r.path("far", "kit", "recovery.key")}
	d := r.run(append([]string{"drill", "header", "--owner", r.path("far", "kit", "owner.key")}, kit...)...)
	d.ends(exitIncomplete).says("1 header opened").warns("the report could not be placed", "access denied", "it is kept in header-drill-")
	kept, err := filepath.Glob("header-drill-*.report")
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	r.run("drill", "place", kept[0], "--vault", vaultURL).ends(exitFailed).warns("access denied", "hint: the credential")
	r.gate.set(nil)
	r.ok("drill", "place", kept[0], "--vault", vaultURL).says("placed as reports/")
}

// TestDrillForged holds a drill that the agent's own key signed to be ignored, and to be called tampering.
func TestDrillForged(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	agent, err := keyring.ReadAgentKey("keys/agent.key")
	if err != nil {
		t.Fatal(err)
	}
	e, _, _ := testEnv(t)
	err = e.withStore(t.Context(), r.vault(), config.Limits{}, func(s *store) error {
		v, err := vault.Open(t.Context(), s.Bucket, vault.Options{})
		if err != nil {
			return err
		}
		id, err := record.ParseHash(v.ID())
		if err != nil {
			return err
		}
		body, err := report.EncodeHeaderDrill(&report.HeaderDrill{Vault: id, Time: time.Now(), Statement: 1, Recovery: 1, Population: 50, Drawn: 50, Opened: 50})
		if err != nil {
			return err
		}
		stored, err := sign.Envelope(sign.KindReport, v.ID(), body, agent)
		if err != nil {
			return err
		}
		path := r.path("vault", report.Name(agent.ID(), 1))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, stored, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"snapshots", "verify"} {
		r.run(command).ends(exitDamage).says("header drill: none on record", "the owner did not name the key for such reports")
	}
}

// TestDrillOnAgentHost warns where the recovery key lies beside an agent's.
func TestDrillOnAgentHost(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.ok("drill", "header", "--identity", "kit/recovery.key").warns("an agent's key lies on this machine")
}
