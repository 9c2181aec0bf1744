package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers/servers"
)

// TestVaultSign signs on a machine that has the draft and the key alone.
func TestVaultSign(t *testing.T) {
	r := newRig(t)
	draft := r.path(r.draft("recipient", "add", r.hybrid("second.key"), "--note", "one more").Draft)
	vaultID := r.show(exitDone).VaultID
	t.Chdir(t.TempDir())
	owner := r.path("kit", "owner.key")
	r.run("vault", "sign", "--owner", owner, draft).ends(exitUsage).warns("Statement 2 of vault "+vaultID, "note: one more", "recovery recipient", "WARNING:", "nobody can be asked here")
	if got := files(t, "."); len(got) != 0 {
		t.Errorf("signed without a yes: %q", got)
	}
	r.ok("vault", "sign", "--owner", owner, "--yes", "--quiet", "--identity", r.path("kit", "recovery.key"), draft).
		warns("In comparison with statement 1, it changes:", "WARNING: whoever holds its identity can read everything").says("is signed: 00000002-", "farshore vault place 00000002-")
	was := files(t, ".")
	if len(was) != 1 {
		t.Fatalf("%q", was)
	}
	for name, text := range was {
		if sum := record.Hash(sha256.Sum256([]byte(text))); name != "00000002-"+sum.String() {
			t.Errorf("%s has hash %s", name, sum)
		}
		if log := files(t, r.path("kit"))["owner.key.signed"]; log != vaultID+" "+name+"\n" {
			t.Errorf("noted is %q", log)
		}
	}
	r.ok("vault", "sign", "--owner", owner, "--yes", draft) // the same again
	if !maps.Equal(files(t, "."), was) {
		t.Error("signed twice, it is another")
	}
	r.run("vault", "sign", "--owner", owner, "--yes", draft, "--out", draft).ends(exitUsage).warns("exists already")
}

// TestVaultSignAhead warns of a draft whose time is yet to come, by which a key that it ends would go on.
func TestVaultSignAhead(t *testing.T) {
	r := newRig(t)
	draft := r.draft("agent", "retire", r.key("keys")).Draft
	d, err := vault.DecodeDraft([]byte(files(t, ".")[draft]))
	if err != nil {
		t.Fatal(err)
	}
	for ahead, want := range map[time.Duration]bool{48 * time.Hour: true, time.Hour: false} {
		d.Next.Time = time.Now().Add(ahead)
		late, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("late.draft", late, 0o600); err != nil {
			t.Fatal(err)
		}
		done := r.run("vault", "sign", "--owner", "kit/owner.key", "late.draft").ends(exitUsage)
		if got := strings.Contains(done.stderr, "after this machine's clock") && strings.Contains(done.stderr, "WARNING: a key that it ends goes on"); got != want {
			t.Errorf("%s ahead: %s", ahead, done.stderr)
		}
	}
}

// TestVaultSignRefuses holds the owner's key to drafts of its own vault.
func TestVaultSignRefuses(t *testing.T) {
	r := newRig(t)
	draft := r.draft("recipient", "add", r.hybrid("second.key")).Draft
	good := files(t, ".")[draft]
	here := r.dir
	other := newRig(t) // another vault with another owner
	foreign := other.draft("recipient", "add", other.hybrid("second.key")).Draft
	for _, tt := range []struct {
		name, want string
		owner      string
		file       string
		more       []string
	}{
		{"a wrong owner's key", "is not by this owner", other.path("kit", "owner.key"), good, nil},
		{"another vault's draft", "is not by this owner", filepath.Join(here, "kit", "owner.key"), files(t, ".")[foreign], nil},
		{"another vault's recovery key", "names another owner's key", filepath.Join(here, "kit", "owner.key"), good, []string{"--identity", other.path("kit", "recovery.key")}},
		{"another owner pinned", "names another owner's key", filepath.Join(here, "kit", "owner.key"), good, []string{"--owner-pub", other.show(exitDone).Owner}},
		{"the predecessor's number", "follows number 1", filepath.Join(here, "kit", "owner.key"), strings.Replace(good, `"n": 2`, `"n": 3`, 1), nil},
		{"what it follows", "is not by this owner", filepath.Join(here, "kit", "owner.key"), forgePrev(t, good), nil},
		{"a hidden member", "could not show", filepath.Join(here, "kit", "owner.key"), strings.Replace(good, `"n": 2`, `"n": 2, "hidden": 1`, 1), nil},
		{"a description", "does not belong there", filepath.Join(here, "kit", "owner.key"), strings.Replace(good, `"vault"`, `"changes": [], "vault"`, 1), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.draft")
			if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			r.run(append([]string{"vault", "sign", "--yes", "--owner", tt.owner, "--out", file + ".signed", file}, tt.more...)...).ends(exitUsage).warns(tt.want)
			if _, err := os.Stat(file + ".signed"); err == nil {
				t.Error("it was signed")
			}
		})
	}
	if _, err := os.Stat(filepath.Join(here, "kit", "owner.key.signed")); err == nil {
		t.Error("a refused draft was noted")
	}
}

// forgePrev changes a bit of the signed statement that a draft follows, and nothing of its form.
func forgePrev(t *testing.T, draft string) string {
	t.Helper()
	_, rest, _ := strings.Cut(draft, `"prev": "`)
	coded, _, _ := strings.Cut(rest, `"`)
	prev, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(prev), `"pack_size":33554432`, `"pack_size":33554433`, 1)
	return strings.Replace(draft, coded, base64.StdEncoding.EncodeToString([]byte(forged)), 1)
}

// TestVaultSignShowsWhatIsSigned edits a draft on its way to the owner: what is shown, and signed, is what it says now.
func TestVaultSignShowsWhatIsSigned(t *testing.T) {
	r := newRig(t)
	asked, thief := r.hybrid("second.key"), r.hybrid("thief.key")
	draft := r.draft("recipient", "add", asked).Draft
	text := strings.Replace(files(t, ".")[draft], asked, thief, 1)
	if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("vault", "sign", "--owner", "kit/owner.key", "--yes", draft).ends(exitDone).warns(fmt.Sprintf("recovery recipient %s… (SHA-256 %x) is added", thief[:24], sha256.Sum256([]byte(thief)))).lacks(asked[:24])
}

// TestVaultTwoDrafts makes two drafts on one statement: whichever comes second has to be made anew.
func TestVaultTwoDrafts(t *testing.T) {
	r := newRig(t)
	one := r.draft("recipient", "add", r.hybrid("a.key"), "--out", "one.draft").Draft
	two := r.draft("recipient", "add", r.hybrid("b.key"), "--out", "two.draft").Draft
	first := r.sign(one)
	r.run("vault", "sign", "--owner", "kit/owner.key", "--yes", two).ends(exitUsage).warns("has signed statement 2 of this vault before, "+first, "make a new draft", "--instead")
	second := r.sign(two, "--instead")
	r.ok("vault", "place", first).says("is placed")
	r.ok("vault", "place", first).says("was placed before")
	before := files(t, "vault")
	if d, env := r.json(nil, "vault", "place", second); d.code != exitUsage || env.Error.Code != "moved-on" || !strings.Contains(env.Error.Hint, "make a new draft") {
		t.Errorf("%d, %+v", d.code, env.Error)
	}
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("a refused statement was stored")
	}
	// A draft from before is refused by the key's own notes, and by the vault.
	r.declare("recipient", "add", r.hybrid("c.key"))
	r.run("vault", "sign", "--owner", "kit/owner.key", "--yes", two).ends(exitUsage).warns("has signed statement")
	r.run("vault", "place", second).ends(exitUsage).warns("the vault has moved on", "its newest is 3")
	r.ok("vault", "place", first).says("was placed before")
}

// TestVaultPlaceNeedsOwner places nothing on the vault's own word.
func TestVaultPlaceNeedsOwner(t *testing.T) {
	r := newRig(t)
	file := r.path(r.sign(r.draft("recipient", "add", r.hybrid("a.key")).Draft))
	owner := r.show(exitDone).Owner
	t.Chdir(t.TempDir())
	r.run("vault", "place", file, "--vault", r.vault()).ends(exitUsage).warns("needs the owner's key")
	r.ok("vault", "place", file, "--vault", r.vault(), "--owner-pub", owner).says("is placed")
}

// TestVaultPlaceCredential holds placing to a credential that may create below vault/: that of the agent, which may write all else, is refused by the store.
func TestVaultPlaceCredential(t *testing.T) {
	s := servers.Versity(t)
	guest, ok := s.Guest()
	if !ok {
		t.Fatal("the server has no second account")
	}
	place, dir := s.Bucket(t), t.TempDir()
	allow(t, s.Client(t), guest.AccessKey, place, []statement{
		{Action: []string{"s3:ListBucket"}, Resource: []string{"arn:aws:s3:::"}},
		{Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::/v/*"}},
		{Action: []string{"s3:PutObject"}, Resource: []string{"arn:aws:s3:::/v/packs/*", "arn:aws:s3:::/v/meta/*", "arn:aws:s3:::/v/commits/*", "arn:aws:s3:::/v/reports/*"}},
	})
	runAs(t, dir, s, 0, "init", "--vault", s.URL(place, "v"), "--config", "farshore.yaml", "--kit", "kit")
	_, recipient, err := seal.GenerateHybrid()
	if err != nil {
		t.Fatal(err)
	}
	runAs(t, dir, guest, 0, "vault", "recipient", "add", recipient)
	runAs(t, dir, guest, 0, "vault", "sign", "--owner", "kit/owner.key", "--yes", "--out", "signed", "00000002.draft")
	var got struct {
		Error struct{ Code, Hint string }
	}
	out := runAs(t, dir, guest, 1, "vault", "place", "signed", "--json")
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Error.Code != "denied" || !strings.Contains(got.Error.Hint, "create below vault/, which the agent's must not") {
		t.Errorf("%v: %s", err, out)
	}
	if out := runAs(t, dir, guest, 0, "vault", "show"); strings.Contains(out, "statement 2") {
		t.Errorf("it was placed: %s", out)
	}
	if out := runAs(t, dir, s, 0, "vault", "place", "signed"); !strings.Contains(out, "is placed") {
		t.Error(out)
	}
	if out := runAs(t, dir, guest, 0, "vault", "place", "signed"); !strings.Contains(out, "was placed before") {
		t.Error(out)
	}
}

// TestVaultForgeries puts statements into the vault as somebody could who may create there and has no owner's key: each is ignored and reported, and the agent goes on.
func TestVaultForgeries(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	owner, agent := r.ownerKey("kit/owner.key"), r.agentKey("keys/agent.key")
	var own []byte
	for name, text := range files(t, "vault") {
		if strings.HasPrefix(name, "vault/") {
			own = []byte(text)
		}
	}
	first := record.Hash(sha256.Sum256(own))
	signed, err := sign.Parse(sign.KindStatement, own)
	if err != nil {
		t.Fatal(err)
	}
	thief := r.hybrid("thief.key")
	otherVault := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name, want string
		n          int64
		by         sign.PrivateKey
		vaultID    string
		prev       record.Hash
	}{
		{"swapped recipients, by the agent", "the owner did not sign it", 2, agent, first.String(), first},
		{"the owner's, of another vault", "the owner did not sign it", 2, owner, otherVault, first},
		{"the owner's, of another line", "does not follow statement 1", 2, owner, first.String(), record.Hash{1}},
		{"a squatted number far ahead", "the owner did not sign it", 7, agent, first.String(), first},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, err := record.DecodeStatement(signed.JSON)
			if err != nil {
				t.Fatal(err)
			}
			st.N, st.Prev, st.Recipients[0].Recipient = tt.n, &tt.prev, thief
			body, err := record.EncodeStatement(st)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := sign.Envelope(sign.KindStatement, tt.vaultID, body, tt.by)
			if err != nil {
				t.Fatal(err)
			}
			name := record.StatementName(tt.n, sha256.Sum256(stored))
			path := r.path("vault", name)
			if err := os.WriteFile(path, stored, 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(path)
			v := r.show(exitDamage)
			if len(v.Findings) != 1 || v.Findings[0].Object != name || v.Findings[0].Severity != string(vault.Tampering) || !strings.Contains(v.Findings[0].Text, tt.want) {
				t.Errorf("%+v", v.Findings)
			}
			if v.Recipients[0].Recipient == thief || len(v.Statements) != 1 {
				t.Error("the forgery is believed")
			}
			r.run("replicate").warns("tampering: "+name, tt.want).lacks("recovery recipients are not those")
			file := r.path("forged")
			if err := os.WriteFile(file, stored, 0o600); err != nil {
				t.Fatal(err)
			}
			r.run("vault", "place", file).ends(exitUsage)
		})
	}
	// The owner's true statement 2 is placed beside a squatted one, and holds.
	r.declare("recipient", "add", r.hybrid("a.key"))
	if v := r.show(exitDone); len(v.Statements) != 2 {
		t.Errorf("%+v", v.Statements)
	}
	// A configuration that pins another owner follows nothing here.
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(files(t, ".")["farshore.yaml"], owner.Public().String(), k.Public().String(), 1)
	if err := os.WriteFile("wrong.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("replicate", "--config", "wrong.yaml").ends(exitFailed).warns("no first statement by the expected owner")
}

func (r *rig) ownerKey(path string) sign.PrivateKey {
	r.t.Helper()
	k, err := keyring.ReadOwnerKey(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

func (r *rig) agentKey(path string) sign.PrivateKey {
	r.t.Helper()
	k, err := keyring.ReadAgentKey(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

// TestAsk takes nothing but yes for a yes.
func TestAsk(t *testing.T) {
	for answer, yes := range map[string]bool{"yes\n": true, " yes \n": true, "yes": true, "y\n": false, "\n": false, "": false, "no\nyes\n": false, strings.Repeat(" ", 2000) + "yes\n": false} {
		e, _, stderr := testEnv(t)
		if err := e.ask("Sign it? ", strings.NewReader(answer)); (err == nil) != yes || !strings.Contains(stderr.String(), "Sign it?") {
			t.Errorf("%q: %v", answer, err)
		}
	}
	if f := classify(context.Background(), errors.New("not agreed to: nothing was signed")); f.exit != exitFailed {
		t.Errorf("%+v", f)
	}
}

// TestSignedLog holds the notes of what was signed to their form, and to one vault each.
func TestSignedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owner.key.signed")
	here, there := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	two, three := "00000002-"+strings.Repeat("1", 64), "00000003-"+strings.Repeat("2", 64)
	other := "00000002-" + strings.Repeat("3", 64)
	open := func(id string) *signedLog {
		t.Helper()
		l, err := readSigned(path, id)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for range 2 { // the second time changes nothing
		for _, name := range []string{two, three} {
			if err := open(here).add(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != here+" "+two+"\n"+here+" "+three+"\n" {
		t.Errorf("%q, %v", b, err)
	}
	for _, tt := range []struct {
		vault string
		n     int64
		name  string
		ok    bool
	}{
		{here, 3, three, true}, {here, 3, other, false}, {here, 2, other, false}, {here, 2, two, false}, {here, 4, "00000004-x", true}, {there, 2, other, true},
	} {
		if err := open(tt.vault).allows(tt.n, tt.name); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if err := os.WriteFile(path, []byte(here+" "+two+"\n"+here+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSigned(path, here); err == nil || !strings.Contains(err.Error(), ".signed:2: ") {
		t.Errorf("a damaged line: %v", err)
	}
	if _, err := readSigned(filepath.Dir(path), here); err == nil {
		t.Error("notes that can't be read are taken for none")
	}
}
