package main

import (
	"bytes"
	"crypto/sha256"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// state makes the owner sign a second statement: the first one with a change.
func (r *rig) state(change func(*record.Statement)) {
	r.t.Helper()
	e, _, _ := testEnv(r.t)
	err := e.withStore(r.t.Context(), r.vault(), config.Limits{}, func(s *store) error {
		v, err := vault.Open(r.t.Context(), s.Bucket, vault.Options{})
		if err != nil {
			return err
		}
		first, err := record.ParseHash(v.ID())
		if err != nil {
			return err
		}
		st := *v.Statement()
		st.N, st.Prev = 2, &first
		change(&st)
		owner, err := keyring.ReadOwnerKey(r.path("kit", "owner.key"))
		if err != nil {
			return err
		}
		body, err := record.EncodeStatement(&st)
		if err != nil {
			return err
		}
		stored, err := sign.Envelope("statement", v.ID(), body, owner)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(stored)
		_, _, err = s.Create(r.t.Context(), record.StatementName(2, sum), io.NewSectionReader(bytes.NewReader(stored), 0, int64(len(stored))), sum)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestRefusesOtherRecipients holds the agent to the recipients that its configuration pins.
func TestRefusesOtherRecipients(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	_, stranger, err := seal.GenerateHybrid()
	if err != nil {
		t.Fatal(err)
	}
	r.state(func(st *record.Statement) {
		st.Recipients = append(slices.Clone(st.Recipients), record.Recipient{Recipient: stranger, Role: record.RoleRecovery})
	})
	before := files(t, "vault")
	r.run("replicate").ends(exitUsage).warns("recipients are not those that the configuration pins", "statement 2", "hint: compare with the recovery kit")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("it wrote all the same")
	}
	r.ok("ls", "shop").says("3 items")
}

// TestNewerFormat holds the agent to write no format that it does not know, and to say so.
func TestNewerFormat(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.state(func(st *record.Statement) { st.Format = 2 })
	r.run("replicate").ends(exitFailed).warns("the owner's statement 2 asks for format 2", "upgrade it")
	r.ok(r.bare("ls", "shop")...).says("3 items")
}

// TestChainTrouble holds commits that the agent did not write, and those that went away, to exit code 4.
func TestChainTrouble(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	chain := r.pass().Chain
	r.ok("replicate", "--state", "copied").says("no local state")
	r.run("replicate").ends(exitDamage).warns("a commit that this agent did not write", "hint: two machines with the same agent's key")
	if err := os.RemoveAll("state"); err != nil {
		t.Fatal(err)
	}
	r.ok("replicate")
	commits := files(t, "vault/commits/"+chain)
	last := slices.Max(slices.Collect(maps.Keys(commits)))
	if err := os.Remove("vault/commits/" + chain + "/" + last); err != nil {
		t.Fatal(err)
	}
	d, env := r.json(nil, "replicate")
	if d.code != exitDamage || env.Error.Code != "chain" || !strings.Contains(env.Error.Message, "what was seen of it") || !strings.Contains(env.Error.Hint, "farshore verify") {
		t.Errorf("exit %d, %+v", d.code, env.Error)
	}
}

// TestRestoreToDirectory restores, again, over changed files, and parts.
func TestRestoreToDirectory(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	t.Chdir(t.TempDir()) // nothing but the vault's address and the recovery key
	restore := r.bare("restore", "--source", "shop", "--to", "out")
	r.ok(append(restore, "--dry-run")...).says("would restore snapshot 2 of shop", "3 items to write (14 B)")
	r.ok(restore...).says("restored snapshot 2 of shop", "3 items written (14 B), 0 there and equal").lacks("UNPINNED")
	want := map[string]string{"a/1": "alpha", "a/2": "beta", "b": "gamma"}
	if got := files(t, "out"); !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
	r.ok(restore...).says("0 items written (0 B), 3 there and equal")
	if err := os.WriteFile("out/b", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(restore...).ends(exitIncomplete).says("2 there and equal, 1 different and left", "b: differs at the destination").warns("something else has the name", "--overwrite")
	var res restoreResult
	d, env := r.json(&res, restore...)
	if d.ends(exitIncomplete); res.Equal != 2 || res.Differing != 1 || len(res.Failed) != 1 || res.Failed[0].Path != "b" || env.Error.Code != codeIncomplete || !res.Complete {
		t.Errorf("%+v", res)
	}
	if got := files(t, "out")["b"]; got != "mine" {
		t.Errorf("a file that differs became %q", got)
	}
	r.ok(append(restore, "--overwrite")...).says("1 item written (5 B), 2 there and equal, 1 of those written in place of something else")
	if got := files(t, "out"); !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
	r.ok(r.bare("restore", "--source", "shop", "--to", "part", "--prefix", "a/")...).says("2 items written")
	r.ok(r.bare("restore", "--source", "shop", "--to", "one", "--item", "b")...).says("1 item written")
	r.run(r.bare("restore", "--source", "shop", "--to", "none", "--item", "c")...).ends(exitUsage).warns("the snapshot has no item c", "farshore ls shop").lacks("written")
	r.run("restore", "--vault", r.vault(), "--identity", r.path("keys", "metadata.key"), "--source", "shop", "--to", "locked").
		ends(exitFailed).warns("UNPINNED", "sealed to the recovery keys", "hint: name the key with --identity").lacks("damaged", "written")
}

// TestRestoreHostileNames lists what could not have its own name, and writes nothing outside.
func TestRestoreHostileNames(t *testing.T) {
	r := newRig(t)
	r.put(map[string]string{"../escape": "1", "/absolute": "2", "a/../../b": "3", "c\\d": "4", "e": "5", "e/f": "6"})
	r.ok("source", "add", "shop", r.url())
	r.ok("replicate").says("6 new")
	r.ok(r.bare("restore", "--source", "shop", "--to", "deep/out")...).says("6 items written", "../escape is restored as _farshore-escaped/", "/absolute is restored as ")
	got := files(t, "deep")
	if len(got) != 6 || slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(p string) bool { return !strings.HasPrefix(p, "out/") }) {
		t.Errorf("%q", got)
	}
	var res restoreResult
	if d, _ := r.json(&res, r.bare("restore", "--source", "shop", "--to", "deep/out")...); d.code != exitDone || res.Equal != 6 || len(res.Renamed) < 3 {
		t.Errorf("exit %d, %+v", d.code, res)
	}
}

// TestRestoreToBucket restores to S3 with the metadata.
func TestRestoreToBucket(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	to := r.server.Bucket(t)
	restore := r.bare("restore", "--source", "shop", "--to", r.server.URL(to, "back/"))
	r.ok(restore...).says("3 items written (14 B)")
	body, out := r.body(to, "back/a/1")
	if body != "alpha" || aws.ToString(out.ContentType) != "text/plain" || out.Metadata["made-by"] != "hand" {
		t.Errorf("%q, %v, %v", body, aws.ToString(out.ContentType), out.Metadata)
	}
	r.ok(restore...).says("0 items written (0 B), 3 there and equal")
	r.run(r.bare("restore", "--source", "shop", "--to", r.server.URL("not-there", ""))...).ends(exitFailed).warns("farshore: ")
}
