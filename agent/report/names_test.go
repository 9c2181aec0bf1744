package report

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"

	"farshore/agent/record"
	"farshore/crypto/seal"
)

// sealed is a vault whose recovery and metadata identities are known.
func sealed(t *testing.T) (d *desk, recovery, metadata age.Identity) {
	t.Helper()
	d = newDesk(t)
	var public []string
	var ids []age.Identity
	for range 2 {
		secret, recipient, err := seal.GenerateHybrid()
		must(t, secret, err)
		id, err := seal.ParseIdentity(secret)
		must(t, id, err)
		public, ids = append(public, recipient), append(ids, id)
	}
	d.state(func(st *record.Statement) {
		st.Recipients = []record.Recipient{{Recipient: public[0], Role: record.RoleRecovery}, {Recipient: public[1], Role: record.RoleMetadata, Signer: d.agent.ID()}}
	})
	return d, ids[0], ids[1]
}

// TestSealedNames holds that agents and who has the recovery key read the names, and nobody else.
func TestSealedNames(t *testing.T) {
	d, recovery, metadata := sealed(t)
	n := &Names{Sources: map[string]string{chainA: "photos"}}
	if i, j, k := n.Item("photos", "a\nb"), n.Item("photos", "c"), n.Item("photos", "a\nb"); i != 1 || j != 2 || k != 1 {
		t.Error(i, j, k)
	}
	text, err := SealNames(d.open(), n)
	must(t, text, err)
	a := d.audit(func(a *Audit) { a.Sealed = text }, nil)
	d.leave(a, d.agent)
	a = d.read().Entries[0].Audit
	for _, id := range []age.Identity{recovery, metadata} {
		got, err := a.OpenNames([]age.Identity{id})
		if err != nil || got.Sources[chainA] != "photos" || got.Name(2) != "photos: c" || got.Name(0) != "" || got.Name(3) != "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	secret, _, err := seal.GenerateHybrid()
	must(t, secret, err)
	other, err := seal.ParseIdentity(secret)
	must(t, other, err)
	if _, err := a.OpenNames([]age.Identity{other}); !errors.Is(err, seal.ErrWrongKey) {
		t.Error(err)
	}
	if _, err := a.OpenNames(nil); !errors.Is(err, seal.ErrWrongKey) {
		t.Error(err)
	}
	if (*Names)(nil).Name(1) != "" {
		t.Error("no names have one")
	}
	if _, err := empty().OpenNames(nil); !errors.Is(err, ErrNoNames) {
		t.Error(err)
	}
	for _, none := range []*Names{nil, {}} {
		if text, err := SealNames(d.open(), none); text != "" || err != nil {
			t.Error(text, err)
		}
	}
}

// TestNamesBounds holds that names of any number and length are sealed within the bounds, and that their length does not show.
func TestNamesBounds(t *testing.T) {
	d, recovery, _ := sealed(t)
	v := d.open()
	n := &Names{Sources: map[string]string{"not a chain": "x"}}
	for i := range 3 * MaxSources {
		n.Sources[fmt.Sprintf("%032x", i)] = strings.Repeat("\"", 10_000)
	}
	for i := range MaxNames {
		if got := n.Item("s", fmt.Sprintf("%d%s", i, strings.Repeat("\xff", 10_000))); got != int64(i)+1 {
			t.Fatal(got)
		}
	}
	if got := n.Item("s", "one more"); got != 0 {
		t.Error(got)
	}
	text, err := SealNames(v, n)
	must(t, text, err)
	if len(text) > MaxSealed {
		t.Errorf("%d digits", len(text))
	}
	got, err := (&Audit{Sealed: text}).OpenNames([]age.Identity{recovery})
	if err != nil || len(got.Sources) == 0 {
		t.Errorf("%v", err)
	}
	if len(n.Sources) != 3*MaxSources+1 || len(n.Items) != MaxNames {
		t.Error("what the caller has was cut")
	}
	lengths := map[int]bool{}
	for _, name := range []string{"a", "ab", strings.Repeat("x", 400)} {
		text, err := SealNames(v, &Names{Items: []string{name}})
		must(t, text, err)
		lengths[len(text)] = true
	}
	if len(lengths) != 1 {
		t.Errorf("lengths tell names apart: %v", lengths)
	}
}

// TestStrangeNames holds that what a key sealed that lies is refused.
func TestStrangeNames(t *testing.T) {
	d, recovery, _ := sealed(t)
	to := []string{}
	for _, r := range d.open().Statement().Recipients {
		to = append(to, r.Recipient)
	}
	for name, plain := range map[string]string{
		"list": `[]`, "null": `{"items":null}`, "twice": `{"items":["a"],"items":["b"]}`, "many": `{"items":[` + strings.Repeat(`"x",`, MaxNames) + `"x"]}`,
		"long": `{"items":["` + strings.Repeat("x", MaxText+1) + `"]}`, "huge": `{"x":"` + strings.Repeat("x", maxNamesSize+namesStep) + `"}`, "key": `{"sources":{"A":"b"}}`,
	} {
		if _, err := (&Audit{Sealed: sealTo(t, to, plain)}).OpenNames([]age.Identity{recovery}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, text := range []string{"!", "YWdl", "YWdl\n", "YW"} {
		if _, err := (&Audit{Sealed: text}).OpenNames([]age.Identity{recovery}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func sealTo(t *testing.T, to []string, plain string) string {
	t.Helper()
	sealer, err := seal.NewSealer(to)
	must(t, sealer, err)
	b, err := seal.SealBytes(sealer, []byte(plain))
	must(t, b, err)
	return base64.StdEncoding.EncodeToString(b)
}
