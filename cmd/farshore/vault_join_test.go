package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/config"
	"farshore/crypto/keyring"
)

// host is another machine of the rig's, with an agent that joined the vault.
type host struct {
	r      *rig
	dir    string
	joined joinResult
}

// join enrols an agent on another machine.
func (r *rig) join(t *testing.T, more ...string) *host {
	t.Helper()
	owner := r.show(exitDone).Owner
	h := &host{r: r, dir: t.TempDir()}
	t.Chdir(h.dir)
	d, _ := r.json(&h.joined, append([]string{"init", "--join", "--vault", r.vault(), "--config", "farshore.yaml", "--owner-pub", owner}, more...)...)
	d.ends(exitDone)
	r.ok("source", "add", "shop", r.url())
	t.Chdir(r.dir)
	return h
}

// in runs a command on the machine.
func (h *host) in(t *testing.T, args ...string) *did {
	t.Helper()
	t.Chdir(h.dir)
	defer t.Chdir(h.r.dir)
	return h.r.run(args...)
}

func (h *host) key() string { return h.joined.Agent }

// name has the owner name the new agent for sources.
func (h *host) name(t *testing.T, sources string) placeResult {
	t.Helper()
	return h.r.declare("agent", "add", "--request", filepath.Join(h.dir, requestFile), "--sources", sources)
}

// TestJoin enrols an agent that replaces one whose host is lost: what was stored stays restorable, and it goes on in a chain of its own.
func TestJoin(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	before := files(t, "vault")
	h := r.join(t, "--name", "second")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("joining wrote to the vault")
	}
	c, err := config.Load(filepath.Join(h.dir, "farshore.yaml"))
	if err != nil || c.Owner != h.joined.Owner || len(c.Recipients) != 1 || c.Recipients[0] != r.show(exitDone).Recipients[0].Recipient {
		t.Errorf("%+v, %v", c, err)
	}
	if strings.Contains(strings.Join(c.Recipients, " "), h.joined.Metadata) || !strings.HasPrefix(h.joined.Metadata, "age1pq1") {
		t.Errorf("metadata %q", h.joined.Metadata)
	}
	h.in(t, "replicate").ends(exitFailed).warns("statement 1 does not name this agent's key "+h.key(), "farshore vault agent add --request join.request")
	res := r.draft("agent", "add", "--request", filepath.Join(h.dir, requestFile), "--sources", "shop")
	if res.Fingerprint != h.joined.Fingerprint || len(res.Fingerprint) != 49 {
		t.Errorf("%q, and %q on the host", res.Fingerprint, h.joined.Fingerprint)
	}
	r.run("vault", "sign", "--owner", "kit/owner.key", "--yes", res.Draft, "--out", "signed").ends(exitDone).
		warns("key "+h.key()+` is added as agent, for "shop"`, "WARNING: ", h.joined.Fingerprint, "note: agent "+h.key()+" is second")
	r.ok("vault", "place", "signed").lacks("recipients:")
	r.put(map[string]string{"c": "new"})
	h.in(t, "replicate").ends(exitDone).says("4 items listed, 4 new")
	h.in(t, "replicate").ends(exitDone).says("4 items listed, 0 new")
	h.in(t, "ls", "shop").ends(exitDone).says("c")
	r.ok(r.bare("restore", "--source", "shop", "--to", "now")...).says("4 items written")
	var s snapshotsResult
	r.json(&s, r.bare("snapshots")...)
	if len(s.Chains) != 2 || s.Chains[0].Source != "shop" || s.Chains[1].Source != "shop" || len(s.Findings) != 0 {
		t.Fatalf("%+v", s)
	}
	r.ok(r.bare("restore", "--source", s.Chains[0].Chain, "--to", "then")...).says("3 items written")
	if got := files(t, "then"); !maps.Equal(got, map[string]string{"a/1": "alpha", "a/2": "beta", "b": "gamma"}) {
		t.Errorf("%q", got)
	}
	// The state of the new host may be lost: it is rebuilt from the vault.
	if err := os.RemoveAll(filepath.Join(h.dir, "state")); err != nil {
		t.Fatal(err)
	}
	r.put(map[string]string{"c": "newer"})
	h.in(t, "replicate").ends(exitDone).says("0 new, 1 changed", "5 B new to the vault")
	r.ok("verify", "--identity", "kit/recovery.key").says("put together from packs")
	r.ok("replicate").says("1 new") // the old agent may go on in its own chain
}

// TestJoinWithMetadata takes the metadata key of the agent before to the new host, which then reads the old snapshots' pages.
func TestJoinWithMetadata(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	h := r.join(t, "--metadata", r.path("keys", config.MetadataKey))
	if !h.joined.TookMetadata || len(h.joined.Sources) != 1 || h.joined.Sources[0].Name != "shop" || h.joined.Sources[0].URL == "" {
		t.Errorf("%+v", h.joined)
	}
	if a, b := files(t, "keys")[config.MetadataKey], files(t, filepath.Join(h.dir, "keys"))[config.MetadataKey]; a != b {
		t.Error("the metadata key is another")
	}
	h.in(t, "ls", "shop").ends(exitDone).says("3 items")
	res := h.name(t, "*")
	if len(res.Changes) != 2 || !strings.Contains(res.Changes[0].Text, "moves from key "+r.key("keys")) {
		t.Errorf("%+v", res.Changes)
	}
	h.in(t, "replicate").ends(exitDone).says("3 new")
	r.ok("replicate") // the old one, which holds the same identity
	r.declare("agent", "revoke", r.key("keys"), "--whole")
	h.in(t, "replicate").ends(exitDone).says("0 new")
	if got := len(r.show(exitDone).Recipients); got != 2 {
		t.Errorf("%d recipients: the new agent's metadata identity went with the old agent", got)
	}
}

// TestJoinRefuses holds joining to the owner, to what is there, and to a metadata key of this vault.
func TestJoinRefuses(t *testing.T) {
	r := newShop(t)
	stranger := strings.Replace(r.show(exitDone).Owner, "ed25519:", "", 1)
	k, err := keyring.ReadAgentKey("keys/agent.key")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	join := []string{"init", "--join", "--vault", r.vault(), "--config", "farshore.yaml"}
	right := append(join[:len(join):len(join)], "--owner-pub", "ed25519:"+stranger)
	r.run(append(join, "--owner-pub", k.Public().String())...).ends(exitFailed).warns("no first statement by the expected owner")
	r.run(append(right, "--metadata", r.path("kit", "recovery.key"))...).ends(exitUsage).warns("this is a recovery key", "take it off this host")
	r.hybrid("other.key")
	if err := os.WriteFile("meta.key", []byte(strings.ReplaceAll(files(t, dir)["other.key"], "recovery key", "metadata key")), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(append(right, "--metadata", "meta.key")...).ends(exitUsage).warns("not a metadata key that this vault was ever sealed to")
	r.run("init", "--join", "--vault", "file://"+dir+"/none", "--config", "farshore.yaml", "--owner-pub", "ed25519:"+stranger).ends(exitFailed)
	if got := files(t, dir); len(got) != 2 {
		t.Errorf("a refused join left %q", got)
	}
	r.ok(append(join, "--identity", r.path("kit", "recovery.key"))...).warns("no place for the recovery key").says("fingerprint", "join.request", "can't read their pages")
	was := files(t, dir)
	r.run(right...).ends(exitUsage).warns("exists already", "farshore.yaml")
	if !maps.Equal(files(t, dir), was) {
		t.Error("a second join changed something")
	}
	if err := os.Chdir(r.dir); err != nil {
		t.Fatal(err)
	}
	other := newRig(t)
	other.run("vault", "agent", "add", "--request", filepath.Join(dir, requestFile), "--sources", "*").ends(exitUsage).warns("asks for vault")
}
