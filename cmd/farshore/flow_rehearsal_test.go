package main

import (
	"maps"
	"os"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/report"
	"farshore/agent/restore"
)

// TestVerifyDrill restores a source whole, times it, and puts that on record.
func TestVerifyDrill(t *testing.T) {
	r := newShop(t)
	r.pass()
	drill := []string{"verify", "shop", "--identity", "kit/recovery.key", "--drill"}
	r.ok(append(drill, "one")...).says("snapshot 2 of shop, restored whole to one", "3 items", "no recovery_time is configured", "stored as reports/")
	if got := files(t, "one"); len(got) != 3 || got["a/1"] != "alpha" {
		t.Errorf("%q", got)
	}
	r.run(append(drill, "one")...).ends(exitUsage).warns("not empty", "hint: ")
	r.run(append(drill, "farshore.yaml")...).ends(exitUsage).warns("no directory")
	r.settle("recovery_time: 8h")
	if err := os.Mkdir("two", 0o700); err != nil {
		t.Fatal(err)
	}
	r.ok(append(drill, "two")...).says("within the recovery time of 8h")
	r.ok("report", "list").says("drill restored 3 items")
	r.ok("report", "show").says("RESTORED")
	r.run("report", "check", "latest").ends(exitIncomplete).says("a drill draws nothing")
	r.ok("verify")
	r.ok(append(drill, "three")...)
	r.ok("report", "check").says("recomputed: bounds") // the newest that was drawn, and not the drill
	_, file := r.onlyPack()
	r.change(file, flip)
	r.run(append(drill, "four")...).ends(exitDamage).says("3 items NOT restored", "the recovery time of 8h00m is NOT met", "stored as reports/")
	r.ok("report", "list").says("DAMAGED")
	before := files(t, "vault")
	r.run(append(drill, "five", "--no-report")...).ends(exitDamage).says("NO REPORT")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("--no-report left something")
	}
}

// TestVerifyDrillBucket drills into a bucket, where what lies there already makes the time say nothing.
func TestVerifyDrillBucket(t *testing.T) {
	r := newShop(t)
	r.pass()
	to := r.server.URL(r.server.Bucket(t), "drill/")
	var res rehearsal
	r.json(&res, "verify", "shop", "--identity", "kit/recovery.key", "--drill", to)
	if res.Drill.Into != report.IntoBucket || res.Drill.Items != 3 || res.Report == "" {
		t.Errorf("%+v", res)
	}
	r.run("verify", "shop", "--identity", "kit/recovery.key", "--drill", to).ends(exitIncomplete).warns("3 items at", "already", "hint: drill into an empty place").
		says("NO REPORT was left: something was at the destination already")
}

// TestVerifyDrillRepositories restores repositories, each of which passes git's own check.
func TestVerifyDrillRepositories(t *testing.T) {
	r := newRepoRig(t)
	app := r.git("git/app.git")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	var res rehearsal
	r.json(&res, "verify", "code", "--identity", "kit/recovery.key", "--drill", "out")
	if res.Drill.Into != report.IntoRepositories || res.Drill.Repositories != 1 || res.Report == "" {
		t.Errorf("%+v", res)
	}
	sameRefs(t, app, "out/app.git")
	r.ok("report").says("1 repository checked")
}

// TestDrillUntaken drills into a place that can't be written: nothing is said of the vault, and nothing is called restored.
func TestDrillUntaken(t *testing.T) {
	r := newRepoRig(t)
	r.git("git/app.git")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	r.run("verify", "code", "--identity", "kit/recovery.key", "--drill", "/proc/drill").ends(exitIncomplete). // where nobody can make anything
															says("NOT restored whole to", "1 repository NOT restored", "NO REPORT was left: the destination did not take everything").lacks(", restored whole", "stored as reports/")
	r.ok("report", "list").lacks("DAMAGED")
}

// TestDrillTarget holds a drill to the recovery time that is configured, for the source or for all.
func TestDrillTarget(t *testing.T) {
	for _, c := range []*config.Config{
		{Sources: []config.Source{{Name: "shop"}}, Goals: config.Goals{RecoveryTime: time.Hour}},
		{Sources: []config.Source{{Name: "shop", Goals: config.Goals{RecoveryTime: time.Hour}}}, Goals: config.Goals{RecoveryTime: time.Minute}},
		{Goals: config.Goals{RecoveryTime: time.Hour}}, // a verifier's
	} {
		drillTarget(t, c)
	}
	r := &rehearsal{}
	if r.aim(verifyOptions{access: &access{}, source: "shop"}, "shop", nil); r.Drill.Met != nil {
		t.Error("a target without a configuration")
	}
}

func drillTarget(t *testing.T, c *config.Config) {
	o := verifyOptions{access: &access{config: c}, source: "0123456789abcdef0123456789abcdef"} // its chain
	for _, tt := range []struct {
		seconds float64
		failed  int64
		met     bool
	}{{3600, 0, true}, {3600.5, 0, false}, {1, 1, false}} {
		r := &rehearsal{Drill: report.Drill{Seconds: tt.seconds, Failed: tt.failed}}
		r.aim(o, "shop", nil)
		if r.Drill.TargetSeconds != 3600 || r.Drill.Met == nil || *r.Drill.Met != tt.met {
			t.Errorf("%+v", r.Drill)
		}
		if err := drillFailure(r, &restore.Summary{Complete: true}, restoreOptions{}, nil); (err == nil) != tt.met {
			t.Errorf("%g s: %v", tt.seconds, err)
		}
	}
}
