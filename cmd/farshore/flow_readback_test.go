package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// TestReplicateReadsBack says how much of what is new was read back, as people read it and as programs do, and reads nothing where the configuration says so.
func TestReplicateReadsBack(t *testing.T) {
	r := newShop(t)
	r.ok("replicate").says("read back: 3 of 3 new items (14 B of 14 B) restored from the vault and compared with the source")
	r.ok("replicate").lacks("read back")
	r.put(map[string]string{"d": "delta"})
	if k := r.pass().ReadBack; k == nil || *k != (readBackResult{1, 5, 1, 5}) {
		t.Errorf("read back %+v", k)
	}
	r.settle("read_back: off")
	r.put(map[string]string{"e": "epsilon"})
	r.ok("replicate").says("read back: 0 of 1 new item (0 B of 7 B)")
	r.settle("read_back: much")
	r.run("replicate").ends(exitUsage).warns("read_back", "auto")
}

// leave places an audit that says that the object is missing.
func (r *rig) leave(object string) {
	r.t.Helper()
	c, err := config.Load("farshore.yaml")
	if err != nil {
		r.t.Fatal(err)
	}
	e, _, _ := testEnv(r.t)
	o, err := e.sessionOptions(c)
	if err != nil {
		r.t.Fatal(err)
	}
	err = e.withVault(r.t.Context(), &access{url: c.Vault, owner: &o.Owner, identities: o.Identities}, func(v *vault.Vault) error {
		now := time.Now().UTC()
		id, err := record.ParseHash(v.ID())
		if err != nil {
			return err
		}
		_, _, err = report.Place(r.t.Context(), v, &report.Audit{
			Vault: id, Statement: v.Statement().N, Time: now, Started: now, Program: "test", Mode: report.ModeSample, End: report.EndDone, Verdict: report.VerdictDamaged,
			Damaged: []report.Damage{{Object: object, Kind: report.DamageMissing, Since: now, Items: -1, Remedy: report.RemedyUnknown}},
		}, o.Key)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// packFiles are the packs in the vault's directory, by their names in the vault.
func (r *rig) packFiles() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	files, err := filepath.Glob(r.path("vault", "packs", "*", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range files {
		out["packs/"+filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f)] = f
	}
	return out
}

// TestReplicateMends stores anew what an audit found damaged, and restores it without the damaged pack.
func TestReplicateMends(t *testing.T) {
	r := newShop(t)
	r.pass()
	packs := r.packFiles()
	if len(packs) != 1 {
		t.Fatalf("%d packs", len(packs))
	}
	for name, file := range packs {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		r.leave(name)
	}
	if got := r.pass(); got.Mended != 3 || got.Seq == 0 {
		t.Errorf("%+v", got)
	}
	r.ok("restore", "--source", "shop", "--to", "now", "--identity", "kit/recovery.key")
	if got := files(t, "now"); len(got) != 3 || got["b"] != "gamma" {
		t.Errorf("restored %q", got)
	}
	r.ok("replicate").lacks("damaged")
}

// TestKnownDamagedNote reads the reports once, and again when there is another; what it noted serves where they can't be read.
func TestKnownDamagedNote(t *testing.T) {
	r := newShop(t)
	r.pass()
	name := "packs/" + "ab" + "/" + strings.Repeat("ab", 32)
	r.leave(name)
	want, err := record.ParsePackName(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("farshore.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e, _, _ := testEnv(t)
	o, err := e.sessionOptions(c)
	if err != nil {
		t.Fatal(err)
	}
	known := func(ctx context.Context) (map[record.Hash]bool, error) {
		var got map[record.Hash]bool
		var gotErr error
		err := e.withVault(t.Context(), &access{url: c.Vault, owner: &o.Owner, identities: o.Identities}, func(v *vault.Vault) error {
			got, gotErr = knownDamaged(ctx, v, c.State)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got, gotErr
	}
	for range 2 {
		if got, err := known(t.Context()); err != nil || len(got) != 1 || !got[want] {
			t.Errorf("%v, %v", got, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := known(over); err == nil || len(got) != 1 || !got[want] {
		t.Errorf("without the reports: %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(c.State, damagedFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := known(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("with a note that is not whole: %v, %v", got, err)
	}
}
