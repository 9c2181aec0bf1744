package main

import (
	"maps"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// pass makes one pass that must succeed, and returns what it did.
func (r *rig) pass() passResult {
	r.t.Helper()
	var res replicateResult
	d, _ := r.json(&res, "replicate")
	d.ends(exitDone)
	if len(res.Sources) != 1 {
		r.t.Fatalf("%d passes", len(res.Sources))
	}
	return res.Sources[0]
}

// TestReplicate makes a first pass, one in which nothing changed, and one with everything that can change.
func TestReplicate(t *testing.T) {
	r := newShop(t)
	r.ok("snapshots").says("no snapshots yet")
	r.ok("replicate").says("shop: 3 items listed, 3 new, 0 changed, 0 deleted", "captured 14 B", "14 B new to the vault", "snapshot 2").lacks("incomplete", "costs")
	r.ok("replicate", "shop").says("3 items listed, 0 new, 0 changed, 0 deleted", "0 B new to the vault, in 0 packs", "snapshot 3")
	r.put(map[string]string{"a/1": "changed", "c": "beta"})
	r.remove("b")
	got := r.pass()
	if !got.Complete || got.Listed != 3 || got.New != 1 || got.Changed != 1 || got.Deleted != 1 || got.Seq != 4 || got.ReadBytes != 11 || len(got.Chain) != 32 {
		t.Errorf("%+v", got)
	}
	r.ok("restore", "--source", "shop", "--to", "now", "--identity", "kit/recovery.key")
	if got := files(t, "now"); !maps.Equal(got, map[string]string{"a/1": "changed", "a/2": "beta", "c": "beta"}) {
		t.Errorf("restored %q", got)
	}
	r.ok("restore", "--source", "shop", "--at", "2", "--to", "then", "--identity", "kit/recovery.key")
	if got := files(t, "then"); !maps.Equal(got, map[string]string{"a/1": "alpha", "a/2": "beta", "b": "gamma"}) {
		t.Errorf("restored of the first pass: %q", got)
	}
}

// TestReplicateArguments holds replicate to say what is wrong with what it was asked for.
func TestReplicateArguments(t *testing.T) {
	r := newRig(t)
	r.run("replicate").ends(exitUsage).warns("has no sources", "farshore source add")
	r.ok("source", "add", "shop", r.url(), "--no-check")
	r.run("replicate", "shpo").ends(exitUsage).warns(`no source named "shpo"`, "shop is meant")
	r.run("replicate", "shop", "shop").ends(exitUsage).warns("named twice")
	if err := os.Rename("keys/agent.key", "keys/elsewhere"); err != nil {
		t.Fatal(err)
	}
	r.run("replicate").ends(exitFailed).warns("agent's key", "keys/agent.key")
}

// TestReplicateDryRun holds a dry run to numbers, prices with their date, and to storing nothing.
func TestReplicateDryRun(t *testing.T) {
	r := newShop(t)
	before := files(t, "vault")
	r.ok("replicate", "--dry-run").says("3 items listed, 3 new", "would read 14 B, with about 4 requests to the source", "costs at the source: its store's prices are not known").lacks("captured")
	t.Setenv("AWS_ENDPOINT_URL_S3", r.server.Endpoint) // so that the source's address is that of AWS, whose prices are known
	r.ok("source", "set", "shop", "s3://"+r.bucket+"/?region=us-east-1&path_style=true")
	r.ok("replicate", "--dry-run").says("once,", "AWS S3 Standard", "prices of 20").lacks("not known")
	var res replicateResult
	d, _ := r.json(&res, "replicate", "--dry-run")
	d.ends(exitDone)
	if s := res.Sources[0]; !res.DryRun || s.New != 3 || s.ReadBytes != 14 || s.Requests != 4 || s.Puts == 0 || len(s.Costs) != 1 || s.Costs[0].Date == "" || s.Commits != 0 {
		t.Errorf("%+v", res)
	}
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("a dry run stored something")
	}
	r.ok("replicate")
	r.remove("b")
	r.ok("replicate", "--dry-run").says("0 new, 0 changed, 1 deleted", "would read 0 B")
}

// TestReplicateUnreadable holds an item that can't be read to exit code 3 and its last good content, unless its reason is accepted.
func TestReplicateUnreadable(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.put(map[string]string{"a/2": "not to be seen", "d": "new"})
	r.gate.deny("a/2")
	r.run("replicate").ends(exitIncomplete).says("1 item unreadable: denied", "a/2: denied: 403 AccessDenied", "1 new").warns("source shop: 1 item could not be read", "hint: ", "accept")
	var res replicateResult
	if d, env := r.json(&res, "replicate"); d.code != exitIncomplete || env.Error.Code != codeIncomplete || res.Sources[0].Unreadable["denied"] != 1 || !res.Sources[0].Complete {
		t.Errorf("exit %d, %+v, %+v", d.code, res, env.Error)
	}
	r.ok("source", "set", "shop", "--accept", "denied")
	r.ok("replicate").says("1 item unreadable: denied").lacks("hint")
	r.ok("snapshots").says("complete, 1 unreadable")
	r.ok("ls", "shop").says("a/2  (unreadable: denied)")
	if d := r.ok("cat", "shop", "a/2", "--identity", "kit/recovery.key").warns("last good content", "denied"); d.stdout != "beta" {
		t.Errorf("%q", d.stdout)
	}
	r.ok("restore", "--source", "shop", "--to", "out", "--identity", "kit/recovery.key").says("a/2 could not be read when the snapshot was taken; its last good content was restored")
}

// TestReplicateOthersGoOn holds a source that is away, and one with a wrong key, to stop nobody else, and to record no deletion.
func TestReplicateOthersGoOn(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.ok("source", "add", "other", r.server.URL(r.bucket, "a/"))
	r.ok("source", "set", "shop", r.server.URL("not-there", ""), "--no-check")
	r.run("replicate").ends(exitFailed).says("shop: nothing could be listed", "other: 2 items listed, 2 new").warns("source shop: ", "there is no such bucket").lacks("source other:")
	r.ok("ls", "shop").says("3 items", "in snapshot 2")
	r.ok("source", "set", "shop", r.url())
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	r.run("replicate").ends(exitFailed).says("shop: nothing could be listed").warns("the secret key is wrong")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if d, env := r.json(nil, "replicate"); d.code != exitFailed || env.Error.Code != "unauthenticated" || !strings.Contains(env.Error.Hint, "AWS_PROFILE") {
		t.Errorf("no credentials: exit %d, %+v", d.code, env.Error)
	}
	setAWS(t, r.server)
	if got := r.ok("replicate", "shop"); !strings.Contains(got.stdout, "0 new, 0 changed, 0 deleted") {
		t.Errorf("after all: %s", got.stdout)
	}
}

// TestReplicateInterrupted interrupts a pass in the middle, while a second one is refused, and goes on from there.
func TestReplicateInterrupted(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.put(map[string]string{"a/0": "zero", "a/4": "four", "a/5": "five"})
	var second *did
	r.gate.set(func(w http.ResponseWriter, q *http.Request) bool {
		if !reads(q, "a/4") {
			return false
		}
		second = r.run("replicate")
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
		<-q.Context().Done()
		return true
	})
	r.run("replicate").ends(exitInterrupted).says("not complete: the next pass goes on from here", "snapshot 3").
		warns("interrupted: finishing what is whole", "did not reach its end: interrupted", "hint: ").lacks("context canceled")
	second.ends(exitFailed).warns("another run of this agent is at work", "in use by process", "hint: wait until it has ended")
	r.ok("snapshots").says("incomplete")
	var again atomic.Int64
	r.gate.set(func(w http.ResponseWriter, q *http.Request) bool {
		if reads(q, "a/0") {
			again.Add(1)
		}
		return false
	})
	r.ok(r.bare("ls", "shop")...).says("snapshot 2").lacks("a/0").warns("snapshot 3 of", "is newer than 2, but incomplete, so that it was passed over")
	r.ok(r.bare("ls", "shop@3")...).says("a/0").lacks("a/4").warns("snapshot 3 of shop is incomplete", "the newest complete one is 2 of")
	r.run(r.bare("restore", "--source", "shop", "--at", "3", "--to", "out")...).ends(exitIncomplete).says("4 items written").
		warns("snapshot 3 of shop is incomplete", "the newest complete one is 2 of", "--at 2 restores the newest complete one")
	got := r.pass()
	if !got.Complete || got.New != 2 || got.Seq != 4 || again.Load() != 0 {
		t.Errorf("%+v, and a/0 was read %d times more", got, again.Load())
	}
	r.ok("verify", "--identity", "kit/recovery.key").says("put together from packs")
}

// TestReplicateInterruptedAtOnce commits nothing where nothing was whole.
func TestReplicateInterruptedAtOnce(t *testing.T) {
	r := newShop(t)
	r.gate.set(func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Query().Get("list-type") == "" {
			return false
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-q.Context().Done()
		return true
	})
	if d, env := r.json(nil, "replicate"); d.code != exitInterrupted || env.Error.Code != codeInterrupted {
		t.Errorf("exit %d, %+v", d.code, env.Error)
	}
	r.gate.set(nil)
	r.ok("snapshots").says("no snapshots yet")
	if got := r.pass(); got.New != 3 {
		t.Errorf("%+v", got)
	}
}

// TestSourceMoves changes a source's address without ending its chain, then removes and re-adds it.
func TestSourceMoves(t *testing.T) {
	r := newShop(t)
	first := r.pass()
	old := r.bucket
	r.bucket = r.server.Bucket(t)
	r.put(map[string]string{"a/1": "alpha", "a/2": "beta", "b": "gamma"})
	r.ok("source", "set", "shop", r.url()).says("source shop is changed", "it can be read")
	if moved := r.pass(); moved.Chain != first.Chain || moved.Seq != 3 || moved.Deleted != 0 || moved.StoredBytes != 0 {
		t.Errorf("moved: %+v", moved)
	}
	if d, _ := r.json(nil, "source", "remove", "shop"); d.code != exitDone {
		t.Errorf("remove: exit %d", d.code)
	}
	r.ok("snapshots").says("head of shop (retired): 4:")
	r.ok("ls", "shop").says("3 items, 14 B")
	r.bucket = old
	r.remove("b")
	r.ok("source", "add", "shop", r.url())
	again := r.pass()
	if again.Chain == first.Chain || again.New != 2 || again.Seq != 2 {
		t.Errorf("added again: %+v", again)
	}
	r.ok("snapshots").says("head of shop "+first.Chain+" (retired): 4:", "head of shop "+again.Chain+": 2:")
	r.ok("ls", "shop").says("2 items")
	r.run("ls", "shop@2").ends(exitUsage).warns("several chains with a commit 2", first.Chain, again.Chain)
	r.ok("ls", first.Chain+"@2").says("3 items")
	r.ok("ls", "shop@3").says("3 items")
	r.ok(r.bare("restore", "--source", "shop", "--at", "3", "--to", "out")...).says("3 items written")
	r.run("source", "remove", "shop", "--state", "elsewhere").ends(exitDone)
	r.run("source", "remove", "shop").ends(exitUsage).warns("no source named")
}
