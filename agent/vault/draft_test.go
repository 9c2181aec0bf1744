package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// owned is a vault in memory with its owner's key.
type owned struct {
	t       testing.TB
	store   *mem.Driver
	bucket  *providers.Bucket
	owner   sign.PrivateKey
	agent   sign.PrivateKey
	id      string
	created time.Time
}

func newOwned(t testing.TB) *owned {
	t.Helper()
	o := &owned{t: t, store: mem.New(), created: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	o.bucket = providers.New(o.store, providers.Options{Attempts: 1})
	o.owner, o.agent = newKey(t), newKey(t)
	id, err := Create(context.Background(), o.bucket, CreateOptions{
		Owner: o.owner, Recovery: []string{newRecipient(t)}, Metadata: newRecipient(t), Agent: o.agent.Public(), Time: o.created,
	})
	must(t, err)
	o.id = id
	return o
}

func newKey(t testing.TB) sign.PrivateKey {
	t.Helper()
	k, err := sign.Generate()
	must(t, err)
	return k
}

func newRecipient(t testing.TB) string {
	t.Helper()
	_, r, err := seal.GenerateX25519()
	must(t, err)
	return r
}

func (o *owned) open() *Vault {
	o.t.Helper()
	owner := o.owner.Public()
	v, err := Open(context.Background(), o.bucket, Options{Owner: &owner})
	must(o.t, err)
	return v
}

func (o *owned) draft(edit Edit) *Draft {
	o.t.Helper()
	d, err := o.open().Draft(context.Background(), o.created.Add(time.Hour), "a note", edit)
	must(o.t, err)
	return d
}

// place signs a draft and places it.
func (o *owned) place(d *Draft) *Placed {
	o.t.Helper()
	_, stored, err := d.Sign(o.owner)
	must(o.t, err)
	p, err := o.open().Place(context.Background(), stored)
	must(o.t, err)
	return p
}

// TestDraft takes a change from the draft's file to the vault.
func TestDraft(t *testing.T) {
	o := newOwned(t)
	recipient := newRecipient(t)
	file, err := o.draft(AddRecovery(recipient)).Encode()
	must(t, err)
	d, err := DecodeDraft(file)
	must(t, err)
	prev, err := d.Check(o.owner.Public())
	must(t, err)
	if prev.N != 1 || d.VaultID != o.id || d.Next.N != 2 || d.Next.Note != "a note" || !d.Next.Time.Equal(o.created.Add(time.Hour)) {
		t.Errorf("%+v", d.Next)
	}
	changes := d.Changes(prev)
	if len(changes) != 1 || changes[0].Text != "recovery recipient "+shown(recipient)+" is added" || changes[0].Danger != dangerRecovery {
		t.Errorf("%+v", changes)
	}
	name, stored, err := d.Sign(o.owner)
	must(t, err)
	if again, same, err := d.Sign(o.owner); err != nil || again != name || !bytes.Equal(same, stored) {
		t.Errorf("signed twice: %s and %s, %v", name, again, err)
	}
	p := o.place(d)
	if p.Name != name || p.Already || p.Before.N != 1 {
		t.Errorf("%+v", p)
	}
	v := o.open()
	if st := v.Statement(); st.N != 2 || st.Recipients[len(st.Recipients)-1].Recipient != recipient || len(v.Findings()) != 0 {
		t.Errorf("%+v, %v", v.Statement(), v.Findings())
	}
	if got := v.Statements(); len(got) != 2 || record.StatementName(2, got[1].Hash) != name {
		t.Errorf("%+v", got)
	}
	if p := o.place(d); !p.Already || p.Before.N != 1 {
		t.Errorf("placed twice: %+v", p)
	}
}

// TestDraftTime holds a draft made by a clock that is behind to follow the newest statement all the same.
func TestDraftTime(t *testing.T) {
	o := newOwned(t)
	d, err := o.open().Draft(context.Background(), o.created.Add(-time.Hour), "", AddRecovery(newRecipient(t)))
	must(t, err)
	if !d.Next.Time.After(o.created) {
		t.Errorf("the draft is of %s, and follows one of %s", d.Next.Time, o.created)
	}
}

// TestDraftSecond makes a second draft, which follows a statement that is not the first and signed for the vault.
func TestDraftSecond(t *testing.T) {
	o := newOwned(t)
	o.place(o.draft(AddRecovery(newRecipient(t))))
	d := o.draft(RetireSigner(o.agent.ID()))
	if prev, err := d.Check(o.owner.Public()); err != nil || prev.N != 2 || d.Next.N != 3 {
		t.Fatalf("%+v, %v", d.Next, err)
	}
	o.place(d)
	other := newOwned(t)
	d.VaultID = other.id
	if _, err := d.Check(o.owner.Public()); err == nil || !strings.Contains(err.Error(), "not of vault "+other.id) {
		t.Errorf("for another vault: %v", err)
	}
}

// TestDraftCheckRefuses holds the owner's key to drafts that follow a statement of its own, by the rules.
func TestDraftCheckRefuses(t *testing.T) {
	o := newOwned(t)
	other := newOwned(t)
	tests := []struct {
		name, want string
		change     func(*Draft)
	}{
		{"another vault's id", "not of vault " + other.id, func(d *Draft) { d.VaultID = other.id }},
		{"another vault's statement", "is not by this owner", func(d *Draft) { e := other.draft(AddRecovery(newRecipient(t))); d.Prev, d.VaultID = e.Prev, e.VaultID }},
		{"a forged statement before", "is not by this owner", func(d *Draft) { d.Prev = bytes.Replace(d.Prev, []byte(`"n":1`), []byte(`"n":2`), 1) }},
		{"number", "it is number 3, and follows number 1", func(d *Draft) { d.Next.N = 3 }},
		{"predecessor", "does not name the hash of statement 1", func(d *Draft) { d.Next.Prev = &record.Hash{1} }},
		{"owner", "names another owner", func(d *Draft) { d.Next.Owner = newKey(t).Public().String() }},
		{"time", "lies before that of statement 1", func(d *Draft) { d.Next.Time = o.created.Add(-time.Second) }},
		{"a recipient twice", "are the same", func(d *Draft) {
			d.Next.Recipients = append(d.Next.Recipients, record.Recipient{Recipient: d.Next.Recipients[0].Recipient, Role: record.RoleMetadata, Signer: o.agent.ID()})
		}},
		{"classes mixed", "must be of one class", func(d *Draft) {
			_, r, err := seal.GenerateHybrid()
			must(t, err)
			d.Next.Recipients = append(d.Next.Recipients, record.Recipient{Recipient: r, Role: record.RoleRecovery})
		}},
		{"no recipient at all", "nobody could seal", func(d *Draft) { d.Next.Recipients = nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := o.draft(AddRecovery(newRecipient(t)))
			tt.change(d)
			if _, err := d.Check(o.owner.Public()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if _, _, err := d.Sign(o.owner); err == nil {
				t.Error("it was signed")
			}
		})
	}
	d := o.draft(AddRecovery(newRecipient(t)))
	if _, _, err := d.Sign(other.owner); err == nil || !strings.Contains(err.Error(), "not by this owner") {
		t.Errorf("with a wrong owner's key: %v", err)
	}
	// An agent's key must not become an owner by a first statement of its own.
	first := *o.open().Statement()
	first.Owner = o.agent.Public().String()
	stored, err := encodeSigned(kindStatement, sign.NoVault, func() ([]byte, error) { return record.EncodeStatement(&first) }, o.agent)
	must(t, err)
	hash := record.Hash(sha256.Sum256(stored))
	d.Prev, d.VaultID, d.Next.Prev, d.Next.Owner = stored, hash.String(), &hash, first.Owner
	if _, err := d.Check(o.owner.Public()); err == nil {
		t.Error("a vault of somebody else's was taken for the owner's")
	}
}

// TestDecodeDraftRefuses holds the file's form to what Encode writes.
func TestDecodeDraftRefuses(t *testing.T) {
	o := newOwned(t)
	good, err := o.draft(AddRecovery(newRecipient(t))).Encode()
	must(t, err)
	cut := func(from, to string) string { return strings.Replace(string(good), from, to, 1) }
	tests := []struct{ name, file, want string }{
		{"nothing", "", "not an object"},
		{"no object", "[]", "not an object"},
		{"another schema", cut("farshore.draft/1", "farshore.draft/2"), "another version"},
		{"a request", cut("farshore.draft/1", "farshore.request/1"), "its schema is"},
		{"another member", cut(`"vault"`, `"description": "harmless", "vault"`), "does not belong there"},
		{"a member twice", cut(`"vault"`, `"schema": "farshore.draft/1", "vault"`), "twice"},
		{"a member's case", cut(`"vault"`, `"Vault"`), "does not belong there"},
		{"no vault", cut(`"vault": "`+o.id+`",`, ""), "no member vault"},
		{"no hash", cut(o.id, "abc"), "is no hash"},
		{"vault is null", cut(`"`+o.id+`"`, "null"), "vault is not a text"},
		{"no base64", cut(`"prev": "`, `"prev": "*`), "not base64"},
		{"prev is nothing", strings.Replace(string(good), base64.StdEncoding.EncodeToString(o.draft(AddRecovery(newRecipient(t))).Prev), "", 1), "not a well-formed"},
		{"an unknown member of the statement", cut(`"format": 1,`, `"format": 1, "secret_rule": true,`), "could not show"},
		{"a member of the statement twice", cut(`"format": 1,`, `"format": 1, "format": 1,`), "next"},
		{"no recipient", cut(`"role": "recovery"`, `"role": "metadata"`), "next"},
		{"cut short", string(good[:len(good)-3]), "cut short"},
		{"something behind", string(good) + "{}", "behind its end"},
		{"no UTF-8", cut("a note", "a\xffnote"), "UTF-8"},
		{"too long", string(good) + strings.Repeat(" ", MaxDraft), "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.file == string(good) {
				t.Fatal("the file is the good one")
			}
			if _, err := DecodeDraft([]byte(tt.file)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	var compact bytes.Buffer
	must(t, json.Compact(&compact, good))
	if _, err := DecodeDraft(compact.Bytes()); err != nil {
		t.Errorf("without white space: %v", err)
	}
}

// TestRequest takes a request through its file, and refuses what was changed.
func TestRequest(t *testing.T) {
	r := &Request{VaultID: strings.Repeat("ab", 32), Key: newKey(t).Public(), Metadata: newRecipient(t), Name: "new host"}
	file, err := r.Encode()
	must(t, err)
	if got, err := DecodeRequest(file); err != nil || *got != *r {
		t.Errorf("%+v, %v", got, err)
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"key", r.Key.String(), newKey(t).Public().String(), "fingerprint"},
		{"metadata", r.Metadata, newRecipient(t), "fingerprint"},
		{"a secret as metadata", r.Metadata, "AGE-SECRET-KEY-1QQQQ", "identity"},
		{"no key", r.Key.String(), "ed25519:x", "key"},
		{"name", "new host", `new\nhost`, "name"},
		{"vault", r.VaultID, "x", "no hash"},
		{"a draft", "farshore.request/1", "farshore.draft/1", "schema"},
	} {
		if _, err := DecodeRequest(bytes.Replace(file, []byte(tt.from), []byte(tt.to), 1)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		} else if strings.Contains(err.Error(), "QQQQ") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
	if got := r.Fingerprint(); len(got) != 49 || got == Fingerprint(r.Metadata, r.Key.String()) {
		t.Errorf("fingerprint %q", got)
	}
}

// TestPlaceRefuses holds placing to the owner's next statement of this vault.
func TestPlaceRefuses(t *testing.T) {
	ctx := context.Background()
	o, other := newOwned(t), newOwned(t)
	first, second := o.draft(AddRecovery(newRecipient(t))), o.draft(AddRecovery(newRecipient(t)))
	_, one, err := first.Sign(o.owner)
	must(t, err)
	_, two, err := second.Sign(o.owner)
	must(t, err)
	before := o.open()
	_, err = before.Place(ctx, one)
	must(t, err)
	third := o.draft(RetireSigner(o.agent.ID()))
	third.Next.N = 4
	far, err := encodeSigned(kindStatement, o.id, func() ([]byte, error) { return record.EncodeStatement(third.Next) }, o.owner)
	must(t, err)
	forged := *o.draft(AddRecovery(newRecipient(t))).Next
	byAgent, err := encodeSigned(kindStatement, o.id, func() ([]byte, error) { return record.EncodeStatement(&forged) }, o.agent)
	must(t, err)
	elsewhere, err := encodeSigned(kindStatement, other.id, func() ([]byte, error) { return record.EncodeStatement(&forged) }, o.owner)
	must(t, err)
	forged.Time = o.created
	backdated, err := encodeSigned(kindStatement, o.id, func() ([]byte, error) { return record.EncodeStatement(&forged) }, o.owner)
	must(t, err)
	objects := len(o.store.Objects())
	for _, tt := range []struct {
		name, want string
		stored     []byte
		movedOn    bool
	}{
		{"a second one on the same", "another statement 2 is in the vault", two, true},
		{"one too far", "place those before it first", far, false},
		{"the agent's", "not a statement of this vault", byAgent, false},
		{"the owner's of another vault", "not a statement of this vault", elsewhere, false},
		{"backdated", "lies before", backdated, false},
		{"no statement", "not a well-formed", []byte("hello"), false},
		{"nothing", "not a well-formed", nil, false},
	} {
		if _, err := o.open().Place(ctx, tt.stored); err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrMovedOn) != tt.movedOn {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if n := len(o.store.Objects()); n != objects {
		t.Errorf("%d objects were stored", n-objects)
	}
	// Two people place at the same moment: whoever comes second is told that the vault is now of two minds.
	if _, err := before.Place(ctx, two); err == nil || !strings.Contains(err.Error(), "two different statements number 2") {
		t.Errorf("a race: %v", err)
	}
}

// TestPlaceSquatted finds other bytes under the statement's own name.
func TestPlaceSquatted(t *testing.T) {
	o := newOwned(t)
	name, stored, err := o.draft(AddRecovery(newRecipient(t))).Sign(o.owner)
	must(t, err)
	o.store.Set(name, []byte("squatted"))
	_, err = o.open().Place(context.Background(), stored)
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Object != name {
		t.Errorf("%v", err)
	}
}

// FuzzDraft holds that whatever the reader takes is written to what means the same, and that a draft by nobody is never signed.
func FuzzDraft(f *testing.F) {
	o := newOwned(f)
	good, err := o.draft(AddAgent(newKey(f).Public(), newRecipient(f), []string{"shop"})).Encode()
	must(f, err)
	request, err := (&Request{VaultID: o.id, Key: o.agent.Public(), Metadata: newRecipient(f)}).Encode()
	must(f, err)
	f.Add(good)
	f.Add(request)
	f.Add([]byte(`{"schema":"farshore.draft/1","vault":"","prev":"","next":{}}`))
	stranger := newKey(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := DecodeRequest(data); err == nil {
			again, err := r.Encode()
			must(t, err)
			if back, err := DecodeRequest(again); err != nil || *back != *r {
				t.Errorf("%+v, %v", back, err)
			}
		}
		d, err := DecodeDraft(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		again, err := d.Encode()
		must(t, err)
		if back, err := DecodeDraft(again); err != nil || !reflect.DeepEqual(back, d) {
			t.Errorf("%+v and then %+v, %v", d, back, err)
		}
		if _, _, err := d.Sign(stranger); err == nil {
			t.Error("a stranger's key signed it")
		}
		Changes(nil, d.Next)
	})
}
