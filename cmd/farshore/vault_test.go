package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// draft runs a command below vault that makes a draft, and returns what it made.
func (r *rig) draft(args ...string) draftResult {
	r.t.Helper()
	var res draftResult
	d, _ := r.json(&res, append([]string{"vault"}, args...)...)
	d.ends(exitDone)
	return res
}

// sign signs a draft with the kit's owner key, and returns the file.
func (r *rig) sign(draft string, more ...string) string {
	r.t.Helper()
	var res signResult
	d, _ := r.json(&res, append([]string{"vault", "sign", "--owner", "kit/owner.key", "--yes", draft}, more...)...)
	d.ends(exitDone)
	return res.File
}

// declare drafts, signs and places the owner's next statement.
func (r *rig) declare(args ...string) placeResult {
	r.t.Helper()
	var res placeResult
	d, _ := r.json(&res, "vault", "place", r.sign(r.draft(args...).Draft))
	d.ends(exitDone)
	return res
}

// show is what vault show tells.
func (r *rig) show(code int, args ...string) vaultResult {
	r.t.Helper()
	var res vaultResult
	d, _ := r.json(&res, append([]string{"vault", "show"}, args...)...)
	d.ends(code)
	return res
}

// key returns the id of the agent's key in a directory of keys.
func (r *rig) key(dir string) string {
	r.t.Helper()
	k, err := keyring.ReadAgentKey(filepath.Join(dir, config.AgentKey))
	if err != nil {
		r.t.Fatal(err)
	}
	return k.ID()
}

// hybrid makes a recovery identity in a file, and returns the recipient.
func (r *rig) hybrid(file string) string {
	r.t.Helper()
	identity, recipient, err := seal.GenerateHybrid()
	if err == nil {
		err = keyring.WriteRecovery(file, identity, "", "")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return recipient
}

// pinned writes recipients into the configuration, as a person would.
func (r *rig) pinned(recipients []string) {
	r.t.Helper()
	c, err := config.Load("farshore.yaml")
	if err != nil {
		r.t.Fatal(err)
	}
	c.Recipients = recipients
	c.Keys, c.State = "", ""
	if err := os.Rename("farshore.yaml", fmt.Sprintf("old-%d.yaml", len(recipients))); err != nil {
		r.t.Fatal(err)
	}
	if err := config.Create("farshore.yaml", c); err != nil {
		r.t.Fatal(err)
	}
}

// TestVaultShow shows a vault from its beginning on.
func TestVaultShow(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	v := r.show(exitDone)
	if len(v.Statements) != 1 || len(v.Recipients) != 2 || len(v.Signers) != 1 || v.Signers[0].State != "current" || v.Format != 1 || !v.Pinned || v.Parameters.PackSize != 32<<20 {
		t.Errorf("%+v", v)
	}
	var s snapshotsResult
	r.json(&s, "snapshots")
	if len(v.Chains) != 1 || s.Chains[0].Head != fmt.Sprintf("%d:%s", v.Chains[0].Seq, v.Chains[0].Hash) || v.Chains[0].Source != "shop" || v.Chains[0].Signer != r.key("keys") {
		t.Errorf("%+v, snapshots has %+v", v.Chains, s.Chains)
	}
	r.ok("vault", "show").says("vault "+v.VaultID, "owner ed25519:", "statement 1 of ", "begins the vault, with format 1", "agent, for all sources", v.Recipients[0].Recipient[:24]+"…", "2:"+v.Chains[0].Hash).
		lacks(v.Recipients[0].Recipient)
	t.Chdir(t.TempDir())
	bare := r.show(exitDone, "--vault", r.vault())
	if bare.Pinned || bare.Chains[0].Source != "" {
		t.Errorf("%+v", bare)
	}
	r.ok("vault", "show", "--vault", r.vault()).warns("UNPINNED").says("UNPINNED")
}

// TestVaultRecipient adds a recovery recipient, which agents refuse until their configuration names it, and retires the first one.
func TestVaultRecipient(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	first := r.show(exitDone).Recipients[0].Recipient
	second := r.hybrid("second.key")
	r.ok("vault", "recipient", "add", second, "--note", "a second kit", "--out", "x.draft").
		says("statement 2", "x.draft", "recovery recipient "+second[:24]+"…", "WARNING: whoever holds its identity can read everything", "farshore vault sign --owner owner.key x.draft")
	file := r.sign("x.draft")
	r.ok("vault", "place", file).says("Statement 2", "is placed", "recipients:\n  - "+first+"\n  - "+second)
	r.put(map[string]string{"late": "for both"})
	r.run("replicate").ends(exitUsage).warns("recovery recipients are not those that the configuration pins", "statement 2 names", "hint: compare with the recovery kit")
	r.pinned([]string{first, second})
	r.ok("replicate").says("1 new")
	r.ok("replicate") // writes what is sealed to the first alone anew
	if d := r.ok("cat", "shop", "late", "--vault", r.vault(), "--identity", "second.key", "--owner-pub", r.show(exitDone).Owner); d.stdout != "for both" {
		t.Errorf("%q", d.stdout)
	}
	if v := r.show(exitDone); len(v.Statements) != 2 || v.Statements[1].Note != "a second kit" || len(v.Statements[1].Changes) != 1 {
		t.Errorf("%+v", v.Statements)
	}
	if got := r.declare("recipient", "retire", first[:24]); !slices.Equal(got.Recipients, []string{second}) {
		t.Errorf("%v", got.Recipients)
	}
	r.run("vault", "recipient", "retire", second).ends(exitUsage).warns("only recovery recipient", "add another first")
	r.run("vault", "recipient", "retire", first).ends(exitUsage).warns("no recovery recipient begins with", second[:24])
	r.run("vault", "recipient", "add", "age1x").ends(exitUsage).warns("recipient")
	_, classic, err := seal.GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	r.run("vault", "recipient", "add", classic).ends(exitUsage).warns("age refuses to mix them")
	r.pinned([]string{second})
	r.put(map[string]string{"last": "for the second"})
	r.ok("replicate")
	r.run("cat", "shop", "last", "--identity", "kit/recovery.key").ends(exitFailed)
	if d := r.ok("cat", "shop", "b", "--identity", "kit/recovery.key", "--identity", "second.key"); d.stdout != "gamma" {
		t.Errorf("%q", d.stdout)
	}
}

// TestVaultNothing makes no draft where there is nothing to change.
func TestVaultNothing(t *testing.T) {
	r := newRig(t)
	r.ok("vault", "upgrade").says("nothing to do", "format is 1, which is what this program writes")
	r.declare("agent", "retire", r.key("keys"))
	r.ok("vault", "agent", "retire", r.key("keys")).says("nothing to do")
	if all, err := filepath.Glob("*.draft"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	r.run("vault", "agent", "add", "--key", r.show(exitDone).Signers[0].Key, "--metadata", r.show(exitDone).Recipients[0].Recipient, "--sources", "*").ends(exitUsage).warns("is named already")
}

// TestVaultArguments says what is wrong with how the commands were called.
func TestVaultArguments(t *testing.T) {
	r := newRig(t)
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	pub, id := k.Public().String(), r.key("keys")
	for _, tt := range []struct{ args, want string }{
		{"vault", "needs a command"},
		{"vault agent revoke " + id, "exactly one of --whole, --after and --commit"},
		{"vault agent revoke " + id + " --whole --commit x", "exactly one of"},
		{"vault agent revoke " + k.ID() + " --whole", "names no key"},
		{"vault agent revoke " + id + " --commit x", "is no hash"},
		{"vault agent revoke " + id + " --commit " + strings.Repeat("ab", 32), "no commit"},
		{"vault agent revoke " + id + " --after 17", "no CHAIN:NUMBER"},
		{"vault agent revoke " + id + " --after " + strings.Repeat("ab", 16) + ":17", "has no chain"},
		{"vault agent retire x", "names no key"},
		{"vault agent add", "needs --request, or --key"},
		{"vault agent add --key x", "--key:"},
		{"vault agent add --key " + pub, "needs --metadata"},
		{"vault agent add --key " + pub + " --metadata age1x", "needs --sources"},
		{"vault agent add --key " + pub + " --metadata age1x --sources a", "metadata recipient"},
		{"vault agent add --key " + pub + " --role owner", "neither agent nor auditor"},
		{"vault agent add --key " + pub + " --role auditor --sources a", "neither --metadata nor --sources"},
		{"vault agent add --request farshore.yaml --key " + pub, "exclude each other"},
		{"vault agent add --request farshore.yaml --sources a", "farshore.yaml: request:"},
		{"vault agent add --request none --sources a", "none"},
		{"vault recipient add", "takes RECIPIENT"},
		{"vault sign x", "needs --owner"},
		{"vault sign --owner keys/agent.key x", "an agent's signing key"},
		{"vault sign --owner kit/owner.key none", "none"},
		{"vault sign --owner kit/owner.key keys", "no regular file"},
		{"vault sign --owner kit/owner.key farshore.yaml", "farshore.yaml: draft:"},
		{"vault place farshore.yaml", "not a well-formed"},
		{"init --join --vault " + r.vault(), "needs --config"},
		{"init --join --config c", "needs --vault"},
		{"init --join --config c --vault " + r.vault(), "UNPINNED"},
		{"init --join --config c --vault " + r.vault() + " --kit k", "--kit and --recipient are for a new vault"},
		{"init --config c --vault file:///v --kit k --metadata m", "--metadata is for --join"},
	} {
		d := r.run(strings.Fields(tt.args)...).warns(tt.want)
		if d.code != exitUsage {
			t.Errorf("%s: exit code %d", tt.args, d.code)
		}
	}
	r.run("vault", "recipient", "add", r.hybrid("second.key"), "--note", "a\nb").ends(exitUsage).warns("--note")
	if all, err := filepath.Glob("*.draft"); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// TestVaultRevokeWhole takes all of an agent's commits out of force: it may not go on, and another agent's chain stays.
func TestVaultRevokeWhole(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	h := r.join(t, "--name", "second")
	h.name(t, "shop")
	h.in(t, "replicate").ends(exitDone)
	id := r.key("keys")
	res := r.draft("agent", "revoke", id, "--whole")
	if len(res.Losses) != 1 || res.Losses[0].Commits != 2 || res.Losses[0].Source != "shop" {
		t.Errorf("%+v", res.Losses)
	}
	r.run("vault", "sign", "--owner", "kit/owner.key", "--yes", res.Draft).ends(exitDone).warns("ALL commits of key "+id, "WARNING: snapshots of these commits can't be restored")
	signed, err := filepath.Glob("00000003-*")
	if err != nil || len(signed) != 1 {
		t.Fatal(signed, err)
	}
	r.ok("vault", "place", signed[0])
	before := files(t, "vault")
	r.run("replicate").ends(exitFailed).warns("revoked this agent's key "+id, "hint: nothing was written")
	if len(files(t, "vault")) != len(before) {
		t.Error("the revoked agent wrote")
	}
	h.in(t, "replicate").ends(exitDone).says("0 new, 0 changed")
	r.ok(r.bare("restore", "--source", "shop", "--to", "out")...).says("3 items written")
	v := r.show(exitDone)
	states := map[string]string{}
	for _, s := range v.Signers {
		states[s.ID] = s.State
	}
	if states[id] != "revoked" || states[h.key()] != "current" {
		t.Errorf("%v", states)
	}
}

// TestVaultRevokeAfter keeps what an agent committed up to a number, of each of its chains.
func TestVaultRevokeAfter(t *testing.T) {
	r := newShop(t)
	r.ok("source", "add", "other", r.server.URL(r.bucket, "a/"))
	r.ok("replicate")
	r.put(map[string]string{"a/1": "encrypted by a thief"})
	r.ok("replicate")
	id := r.key("keys")
	chains := map[string]string{}
	for _, c := range r.show(exitDone).Chains {
		chains[c.Source] = c.Chain
	}
	r.run("vault", "agent", "revoke", id, "--after", chains["shop"]+":2").ends(exitUsage).
		warns("has also written chain "+chains["other"]+": other, up to number 3", "--after "+chains["other"]+":NUMBER", chains["other"]+":0 for none")
	r.run("vault", "agent", "revoke", id, "--after", chains["shop"]+":9").ends(exitUsage).warns("ends at number 3: there is no 9")
	r.run("vault", "agent", "revoke", id, "--after", chains["shop"]+":1,"+chains["shop"]+":2").ends(exitUsage).warns("named twice")
	res := r.draft("agent", "revoke", id, "--after", chains["shop"]+":2", "--after", chains["other"]+":0")
	if len(res.Losses) != 2 || res.Losses[0].Commits+res.Losses[1].Commits != 4 {
		t.Errorf("%+v", res.Losses)
	}
	r.ok("vault", "place", r.sign(res.Draft))
	if d := r.ok("cat", "shop", "a/1", "--identity", "kit/recovery.key"); d.stdout != "alpha" {
		t.Errorf("%q", d.stdout)
	}
	r.run("ls", "other").ends(exitUsage)
	r.run("replicate").ends(exitFailed).warns("revoked this agent's key " + id)
}

// TestVaultRevokeCommit takes one snapshot out of force: it is no longer chosen, and the agent goes on.
func TestVaultRevokeCommit(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.put(map[string]string{"a/1": "a mistake"})
	r.ok("replicate")
	head := r.show(exitDone).Chains[0]
	if got := r.declare("agent", "revoke", head.Signer, "--commit", fmt.Sprintf("%s:%d", head.Chain, head.Seq)); len(got.Changes) != 1 || !strings.Contains(got.Changes[0].Text, head.Hash) {
		t.Errorf("%+v", got)
	}
	if d := r.ok("cat", "shop", "a/1", "--identity", "kit/recovery.key"); d.stdout != "alpha" {
		t.Errorf("%q", d.stdout)
	}
	r.run("cat", "shop@3", "a/1", "--identity", "kit/recovery.key").ends(exitUsage)
	r.ok("vault", "agent", "revoke", head.Signer, "--commit", head.Hash).says("nothing to do")
	r.put(map[string]string{"a/1": "mended"})
	r.ok("replicate").says("note: ", "a new one begins")
	if d := r.ok("cat", "shop", "a/1", "--identity", "kit/recovery.key"); d.stdout != "mended" {
		t.Errorf("%q", d.stdout)
	}
}

// TestVaultAuditor names an auditor, which may not commit.
func TestVaultAuditor(t *testing.T) {
	r := newRig(t)
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	r.declare("agent", "add", "--role", "auditor", "--key", k.Public().String(), "--name", "the house's auditor")
	v := r.show(exitDone)
	if s := v.Signers[1]; s.ID != k.ID() || !slices.Equal(s.Roles, []string{record.RoleAuditor}) || v.Statements[1].Note != "auditor "+k.ID()+" is the house's auditor" {
		t.Errorf("%+v", v)
	}
	if err := os.Rename("keys/agent.key", "keys/was"); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteAgentKey("keys/agent.key", k); err != nil {
		t.Fatal(err)
	}
	r.ok("source", "add", "shop", r.url())
	r.run("replicate").ends(exitFailed).warns("for auditor, and not as an agent")
}

// TestPlaceFailed tells which credential placing takes, where the store says no.
func TestPlaceFailed(t *testing.T) {
	f := classify(context.Background(), placeFailed(&providers.Error{Kind: providers.Denied, Op: "create", Name: "vault/x", Err: errors.New("403")}))
	if f.code != "denied" || f.exit != exitFailed || !strings.Contains(f.hint, "create below vault/, which the agent's must not") {
		t.Errorf("%+v", f)
	}
	if err := errors.New("else"); !errors.Is(placeFailed(err), err) {
		t.Error("another error became one of the credential")
	}
}
