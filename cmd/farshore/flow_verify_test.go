package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// onlyPack is the one pack of the vault: its name there, and its file, which may be written.
func (r *rig) onlyPack() (name, file string) {
	r.t.Helper()
	packs := r.packFiles()
	if len(packs) != 1 {
		r.t.Fatalf("%d packs", len(packs))
	}
	for name, file = range packs {
		if err := os.Chmod(file, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	return name, file
}

// change writes a file anew, as something else makes of it.
func (r *rig) change(file string, to func([]byte) []byte) {
	r.t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, to(b), 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// flip changes a bit in the middle, halve keeps the first half.
func flip(b []byte) []byte  { b[len(b)/2] ^= 4; return b }
func halve(b []byte) []byte { return b[:len(b)/2] }

// TestVerifyFindsDamage damages the only pack in each way that there is: verify ends with exit code 4, names it and what rests on it, and so does the report that it left.
func TestVerifyFindsDamage(t *testing.T) {
	for kind, harm := range map[string]func(*rig, string){
		report.DamageBytes: func(r *rig, file string) { r.change(file, flip) },
		report.DamageSize:  func(r *rig, file string) { r.change(file, halve) },
		report.DamageMissing: func(r *rig, file string) {
			if err := os.Remove(file); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			r := newShop(t)
			r.pass()
			r.ok("verify").says("INTACT", "stored as reports/")
			name, file := r.onlyPack()
			harm(r, file)
			d := r.run("verify").ends(exitDamage).says("DAMAGED", name, "3 items rest on it", "shop: a/1", "farshore replicate", "stored as reports/")
			if !strings.Contains(d.stderr, "hint: ") || strings.Contains(d.stderr, "`farshore verify`") { // that is what was run
				t.Errorf("stderr %q", d.stderr)
			}
			var v verifyResult
			_, env := r.json(&v, "verify")
			if env.Error.Code != codeDamage || v.Verdict != report.VerdictDamaged || len(v.Audit.Damaged) != 1 || v.Audit.Damaged[0].Object != name || v.Audit.Damaged[0].Kind != kind ||
				v.Audit.Damaged[0].Items != 3 || v.Report == "" || len(v.Findings) == 0 {
				t.Errorf("%+v, %+v", env.Error, v.Audit)
			}
			r.ok("report").says("DAMAGED: 1 pack", "intact")
			r.ok("report", "show").says(name, "shop: a/1")
			r.ok("report", "show", "--vault", r.vault(), "--config", "farshore.yaml").says(name)
			// Who has no key finds it as well, and leaves nothing.
			before := files(t, "vault")
			t.Chdir(t.TempDir())
			r.run("verify", "--vault", r.vault()).ends(exitDamage).says("DAMAGED", name, "NO REPORT").lacks("shop: a/1")
			r.ok("report", "show", "--vault", r.vault()).says(name).lacks("a/1")
			if !maps.Equal(files(t, r.path("vault")), before) {
				t.Error("a verification without a key wrote to the vault")
			}
		})
	}
}

// TestVerifyMends has the next pass store anew what verify found damaged: from then on the newest snapshot does not need it. All is whole once its right bytes are back, and once the
// owner revokes the commit that names it.
func TestVerifyMends(t *testing.T) {
	r := newShop(t)
	r.pass()
	name, file := r.onlyPack()
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r.change(file, flip)
	r.run("verify").ends(exitDamage)
	if got := r.pass(); got.Mended != 3 {
		t.Errorf("%+v", got)
	}
	r.run("verify", "--identity", "kit/recovery.key").ends(exitDamage).says("DAMAGED", name, "only the older", "the newest snapshot does not", "items put together from packs")
	r.ok(r.bare("restore", "--source", "shop", "--to", "now")...).says("3 items written")
	r.change(file, func([]byte) []byte { return right })
	r.ok("verify").says("INTACT", name+": an audit found it damaged", "and it is whole now")
	r.ok("verify").says("INTACT").lacks(name)
	r.change(file, flip)
	r.run("verify").ends(exitDamage)
	var list snapshotsResult
	r.json(&list, "snapshots")
	r.declare("agent", "revoke", r.key("keys"), "--commit", list.Chains[0].Chain+":2")
	r.ok("verify", "--identity", "kit/recovery.key").says("INTACT")
	r.ok("report", "check")
	r.ok(r.bare("restore", "--source", "shop", "--to", "then")...).says("3 items written")
}

// TestVerifyNoReport leaves nothing in the vault where that is asked for, where no key signs, and in a dry run.
func TestVerifyNoReport(t *testing.T) {
	r := newShop(t)
	r.pass()
	before := files(t, "vault")
	r.ok("verify", "--no-report").says("INTACT", "NO REPORT")
	r.ok("verify", "--full", "--no-report", "--identity", "kit/recovery.key").says("INTACT", "NO REPORT")
	r.ok("verify", "--dry-run").says("1 pack", "would read", "everything within 90 days", "docs/operate.md")
	r.ok("report").says("no reports yet", "farshore verify")
	r.run("report", "show").ends(exitUsage).warns("farshore report", "hint: ")
	r.run("report", "check").ends(exitUsage).warns("no audit yet", "hint: ")
	if err := os.Rename("keys/agent.key", "keys/away"); err != nil {
		t.Fatal(err)
	}
	r.ok("verify").says("INTACT", "NO REPORT")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("something was written to the vault")
	}
}

// TestVerifyArguments holds flags that make no sense, alone or together, to exit code 2 and to a word that names them, before anything is read.
func TestVerifyArguments(t *testing.T) {
	r := newShop(t)
	r.pass()
	before := files(t, "vault")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--bytes", "0"}, "--bytes"},
		{[]string{"--bytes", ""}, "--bytes"},
		{[]string{"--bytes", "much"}, "--bytes"},
		{[]string{"--share", "101%"}, "--share"},
		{[]string{"--share", ""}, "--share"},
		{[]string{"--duration", "0s"}, "--duration"},
		{[]string{"--duration", "-1h"}, "--duration"},
		{[]string{"--full", "--bytes", "1GiB"}, "--full"},
		{[]string{"--full", "--dry-run"}, "--dry-run"},
		{[]string{"--drill", "out"}, "SOURCE"},
		{[]string{"shop", "--drill", ""}, "--drill"},
		{[]string{"shop", "--drill", "out", "--share", "5%"}, "--drill"},
		{[]string{"shop", "--drill", "out"}, "--identity"},
		{[]string{"--key", ""}, "--key"},
		{[]string{"--key", "none"}, "none"},
		{[]string{"--key", "kit/recovery.key"}, "an age identity"},
		{[]string{"--key", "keys/agent.key", "--no-report"}, "--no-report"},
		{[]string{"--scratch", "none"}, "none is no directory"},
		{[]string{"--scratch", "farshore.yaml"}, "farshore.yaml is no directory"},
		{[]string{"--dry-run", "--scratch", "none"}, "none is no directory"},
		{[]string{"shpo"}, "it has shop"},
		{[]string{"--dry-run", "shpo"}, "it has shop"},
	} {
		r.run(append([]string{"verify"}, c.args...)...).ends(exitUsage).warns(c.want)
	}
	r.run("report", "check", "--scratch", "none").ends(exitUsage).warns("none is no directory")
	r.run("report", "lst").ends(exitUsage).warns("`farshore report list` is meant")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("something was written to the vault")
	}
}

// TestVerifyKey refuses a key that the owner did not name, before anything is read, and takes the owner's own.
func TestVerifyKey(t *testing.T) {
	r := newShop(t)
	r.pass()
	before := files(t, "vault")
	r.ok("vault", "agent", "key", "auditor.key")
	r.run("verify", "--key", "auditor.key").ends(exitUsage).warns("the owner did not name the key", "--role auditor", "--no-report")
	r.run("verify", "shop", "--drill", "out", "--key", "auditor.key", "--identity", "kit/recovery.key").ends(exitUsage).warns("the owner did not name the key")
	if _, err := os.Stat("out"); err == nil || !maps.Equal(files(t, "vault"), before) {
		t.Error("something was written")
	}
	r.ok("verify", "--key", "kit/owner.key").says("stored as reports/" + r.ownerKey("kit/owner.key").ID())
	r.ok("report").says("owner")
}

// TestVerifyAuditor has an auditor named by the owner verify with its own key: it keeps a ledger of its own beside the agent's.
func TestVerifyAuditor(t *testing.T) {
	r := newShop(t)
	r.pass()
	var key auditorKeyResult
	r.json(&key, "vault", "agent", "key", "auditor.key")
	r.declare("agent", "add", "--role", "auditor", "--key", key.Key)
	t.Chdir(t.TempDir())
	auditor := func(args ...string) []string {
		return append(args, "--vault", r.vault(), "--owner-pub", r.ownerKey(r.path("kit", "owner.key")).Public().String())
	}
	var v, again verifyResult
	r.json(&v, auditor("verify", "--key", r.path("auditor.key"))...)
	if v.Signer != key.KeyID || !v.Pinned || v.Audit.Coverage.Never != 0 || len(v.Audit.Ledger.Arcs) == 0 {
		t.Errorf("%+v, %+v", v, v.Audit)
	}
	r.json(&again, auditor("verify", "--key", r.path("auditor.key"))...)
	if again.Audit.Prev == nil || again.Signer != key.KeyID {
		t.Errorf("%+v", again.Audit)
	}
	r.ok(auditor("report")...).says("auditor")
	r.ok(auditor("report", "check")...).says("by the auditor (key "+key.KeyID+")", "the ledger follows from the signer's audit before it")
	var mine, theirs planResult
	r.json(&mine, auditor("verify", "--dry-run", "--key", r.path("auditor.key"))...)
	t.Chdir(r.dir)
	r.json(&theirs, "verify", "--dry-run")
	if mine.Coverage.Never != 0 || mine.Coverage.Verified == 0 || theirs.Coverage.Verified != 0 || theirs.Coverage.Never == 0 {
		t.Errorf("the auditor's %+v, the agent's %+v", mine.Coverage, theirs.Coverage)
	}
	r.ok("verify")
	r.ok("report", "list").says("auditor", "agent")
}

// TestVerifyInterrupted interrupts a run while it compares with the source: what it verified until then is kept in a report, and the next run goes on.
func TestVerifyInterrupted(t *testing.T) {
	r := newShop(t)
	r.pass()
	var once sync.Once
	r.gate.set(func(_ http.ResponseWriter, q *http.Request) bool {
		if !reads(q, "a/1") && !reads(q, "a/2") && !reads(q, "b") {
			return false
		}
		once.Do(func() {
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
		})
		<-q.Context().Done()
		return true
	})
	var v verifyResult
	d, env := r.json(&v, "verify")
	d.ends(exitInterrupted)
	if env.Error.Code != codeInterrupted || !strings.Contains(env.Error.Message, "is kept in "+v.Report) || v.Report == "" || v.Audit.End != report.EndInterrupted ||
		v.Verdict != report.VerdictIncomplete || v.Audit.Coverage.Never != 0 || v.Audit.Coverage.Verified == 0 {
		t.Errorf("%+v, %+v", env.Error, v.Audit)
	}
	r.gate.set(nil)
	r.ok("report").says("INCOMPLETE: interrupted")
	r.ok("report", "show", v.Report).says("INCOMPLETE", "stopped. What it had verified until then counts")
	r.ok("report", "check", v.Report)
	r.ok("verify").says("INTACT")
}

// TestVerifyTwiceAtOnce runs two verifications of one key at the same time: both leave a report, in one chain.
func TestVerifyTwiceAtOnce(t *testing.T) {
	r := newShop(t)
	r.pass()
	var both sync.WaitGroup
	var did [2]*did
	for i := range did {
		both.Go(func() { did[i] = r.run("verify") })
	}
	both.Wait()
	for _, d := range did {
		d.ends(exitDone).says("INTACT", "stored as reports/")
	}
	var list reportList
	r.json(&list, "report")
	if len(list.Reports) != 2 || len(list.Abandoned) != 0 || len(list.Findings) != 0 {
		t.Errorf("%+v", list)
	}
	for _, l := range list.Reports {
		r.ok("report", "check", l.Hash[:16])
	}
}

// TestVerifyClock refuses to verify where the clock is behind the key's last report, and says what to do.
func TestVerifyClock(t *testing.T) {
	r := newShop(t)
	r.pass()
	r.at(3*time.Hour, "verify").ends(exitDone)
	r.run("verify").ends(exitFailed).warns("the clock is behind", "hint: ", "--no-report")
	r.ok("verify", "--no-report")
	r.ok("report", "check")
}

// TestVerifyConfigured takes budget and promise from the configuration, flags before it, and says whether a promise can be kept.
func TestVerifyConfigured(t *testing.T) {
	r := newShop(t)
	r.pass()
	plain, err := os.ReadFile("farshore.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r.settle("max_age: 26h", "verify:\n  bytes: 2MiB\n  duration: 1h\n  coverage: 60d\n  every: 2d\n  scratch: "+t.TempDir())
	var v verifyResult
	r.json(&v, "verify")
	if b := v.Audit.Budget; b != (report.Budget{Bytes: 2 << 20, Seconds: 3600, CoverageDays: 60, EverySeconds: 2 * 86400}) {
		t.Errorf("%+v", b)
	}
	if c := v.Audit.Coverage; c.Met == nil || !*c.Met || c.Feasible == nil || !*c.Feasible {
		t.Errorf("%+v", c)
	}
	if len(v.Audit.Sources) != 1 || v.Audit.Sources[0].TargetSeconds != 26*3600 || v.Audit.Sources[0].Late {
		t.Errorf("%+v", v.Audit.Sources)
	}
	r.json(&v, "verify", "--share", "50%")
	if b := v.Audit.Budget; b.Seconds != 0 || b.Bytes == 0 || b.Bytes >= 2<<20 {
		t.Errorf("%+v", b)
	}
	r.ok("verify", "--dry-run").says("everything within 60 days", "promised; this budget keeps it")
	r.ok("verify", "--dry-run", "--bytes", "1").says("can NOT keep it")
	if err := os.WriteFile("farshore.yaml", append(plain, "\nverify:\n  scratch: /nonexistent\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("verify").ends(exitUsage).warns("/nonexistent is no directory", "verify.scratch")
}

// TestVerifySource restores items of the source that is named alone, and draws objects from all.
func TestVerifySource(t *testing.T) {
	r := newShop(t)
	r.ok("source", "add", "other", r.server.URL(r.bucket, "a/"))
	r.ok("replicate")
	var all, one verifyResult
	r.json(&all, "verify", "--identity", "kit/recovery.key")
	r.json(&one, "verify", "other", "--identity", "kit/recovery.key")
	if all.Audit.Items.Restored != 5 || one.Audit.Items.Restored != 2 || one.Audit.Items.Same != 2 || one.Audit.Population != all.Audit.Population {
		t.Errorf("%+v, and of one source %+v", all.Audit.Items, one.Audit.Items)
	}
	r.ok("verify", "other", "--full", "--identity", "kit/recovery.key")
}

// TestVerifyDryRun holds a dry run to what it says of items, which are restored only by who can, and to prices where they are known.
func TestVerifyDryRun(t *testing.T) {
	r := newShop(t)
	r.pass()
	r.ok("verify", "--dry-run").says("prices of this store are not known").lacks("restore up to", "$")
	r.ok("verify", "--dry-run", "--identity", "kit/recovery.key").says("restore up to 14 B of items")
	if c := promiseOf("s3://offsite/vault?region=eu-west-3", 40e12); c.DayBytes != 698_412_698_413 || c.Day == nil || dollars(*c.Day) != "$62.86" {
		t.Errorf("40 TB in 90 days: %+v", c)
	}
	if c := promiseOf("rclone:nas:vault", 70); c.DayBytes != 2 || c.Day != nil {
		t.Errorf("%+v", c)
	}
	if note := promiseNote("s3://offsite/vault?region=eu-west-3"); !strings.Contains(note, "within 90 days, each TB that is stored costs $47.83 a month") || !strings.Contains(note, "farshore verify --dry-run") {
		t.Error(note)
	}
	if note := promiseNote(r.vault()); strings.Contains(note, "egress") {
		t.Error(note)
	}
	// What is told without looking is what a run reckons with, but for what its granularity adds.
	r.settle("verify:\n  coverage: 90d")
	var est planResult
	r.json(&est, "verify", "--dry-run")
	told := promiseOf("", est.Population.PackBytes+est.Population.PageBytes).DayBytes
	for _, p := range est.Promises {
		if p.Days == toldDays && (p.DayBytes < told || p.DayBytes > 2*told) {
			t.Errorf("told %d bytes a day, and a run reckons with %d", told, p.DayBytes)
		}
	}
	p := planned(t, "s3://offsite/vault", "that costs $0.09", "AWS S3 Standard", "everything within 90 days")
	if strings.Contains(p, "not known") || strings.Contains(p, "for storage") {
		t.Error(p)
	}
	r.ok("replicate", "--dry-run").says("to verify everything within 90 days", "farshore verify --dry-run")
}

// signing opens the vault as the agent does, and gives its key to something.
func (r *rig) signing(do func(v *vault.Vault, id record.Hash, k sign.PrivateKey)) {
	r.t.Helper()
	k, err := keyring.ReadAgentKey(filepath.Join("keys", config.AgentKey))
	if err != nil {
		r.t.Fatal(err)
	}
	e, _, _ := testEnv(r.t)
	err = e.withVault(r.t.Context(), &access{url: r.vault()}, func(v *vault.Vault) error {
		id, err := record.ParseHash(v.ID())
		if err == nil {
			do(v, id, k)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}
