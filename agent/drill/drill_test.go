package drill

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// key is an identity and its recipient.
type key struct {
	id        age.Identity
	recipient string
}

func newKey(t testing.TB, generate func() (string, string, error)) key {
	t.Helper()
	text, recipient, err := generate()
	must(t, text, err)
	id, err := seal.ParseIdentity(text)
	return key{must(t, id, err), recipient}
}

// yard is a vault in memory, and the packs that its next chain names.
type yard struct {
	t            testing.TB
	store        *mem.Versioned
	bucket       *providers.Bucket
	owner, agent sign.PrivateKey
	recovery     key
	id           string
	packs        []record.Ref
	chains       int
}

func newYard(t testing.TB, generate func() (string, string, error)) *yard {
	t.Helper()
	y := &yard{t: t, store: mem.NewVersioned(), recovery: newKey(t, generate)}
	y.bucket = providers.New(y.store, providers.Options{Attempts: 1})
	var err error
	y.owner, err = sign.Generate()
	must(t, y.owner, err)
	y.agent, err = sign.Generate()
	must(t, y.agent, err)
	y.id, err = vault.Create(t.Context(), y.bucket, vault.CreateOptions{
		Owner: y.owner, Recovery: []string{y.recovery.recipient}, Metadata: newKey(t, generate).recipient, Agent: y.agent.Public(), Time: time.Unix(1, 0),
	})
	must(t, y.id, err)
	return y
}

func (y *yard) open() *vault.Vault {
	y.t.Helper()
	pub := y.owner.Public()
	v, err := vault.Open(y.t.Context(), y.bucket, vault.Options{Owner: &pub})
	return must(y.t, v, err)
}

// sealed returns a pack sealed to the recipients.
func (y *yard) sealed(plain string, recipients ...string) []byte {
	y.t.Helper()
	s, err := seal.NewSealer(recipients)
	must(y.t, s, err)
	b, err := seal.SealBytes(s, []byte(plain))
	return must(y.t, b, err)
}

// add stores bytes as a pack that the next commit names.
func (y *yard) add(stored []byte) record.Hash {
	h := record.Hash(sha256.Sum256(stored))
	y.store.Set(record.PackName(h), stored)
	y.packs = append(y.packs, record.Ref{Name: h, Size: int64(len(stored))})
	return h
}

// fill adds good packs.
func (y *yard) fill(n int) {
	for i := range n {
		y.add(y.sealed(fmt.Sprint(len(y.packs), i), y.recovery.recipient))
	}
}

// commit writes one more chain, of one commit, which names the packs so far, and returns the chains.
func (y *yard) commit() []*vault.Chain {
	y.t.Helper()
	v := y.open()
	all := v.Statements()
	y.chains++
	c := &record.Commit{
		Chain: fmt.Sprintf("%032x", y.chains), Seq: 1, Statement: all[len(all)-1].Hash, Time: time.Unix(100, 0).UTC(), Source: base64.StdEncoding.EncodeToString([]byte("sealed")),
		Retired: true, Packs: y.packs,
	}
	body, err := record.EncodeCommit(c)
	must(y.t, body, err)
	stored, err := sign.Envelope(sign.KindCommit, y.id, body, y.agent)
	must(y.t, stored, err)
	y.store.Set(record.CommitName(c.Chain, 1), stored)
	chains, err := y.open().Chains(y.t.Context())
	return must(y.t, chains, err)
}

func (y *yard) drill(count int, ids ...age.Identity) *report.HeaderDrill {
	y.t.Helper()
	if len(ids) == 0 {
		ids = []age.Identity{y.recovery.id}
	}
	chains := y.commit()
	d, err := Headers(y.t.Context(), y.open(), chains, Options{Identities: ids, Count: count, Now: time.Unix(200, 0)})
	must(y.t, d, err)
	if _, err := report.EncodeHeaderDrill(d); err != nil {
		y.t.Errorf("the drill is no report: %v", err)
	}
	return d
}

// holds holds a drill to its numbers and to the kinds of its findings.
func holds(t testing.TB, d *report.HeaderDrill, population, drawn, opened, failed, unread int64, kinds ...string) {
	t.Helper()
	if d.Population != population || d.Drawn != drawn || d.Opened != opened || d.Failed != failed || d.Unread != unread {
		t.Errorf("%+v", d)
	}
	var got []string
	for _, f := range d.Findings {
		got = append(got, f.Kind)
	}
	slices.Sort(got)
	slices.Sort(kinds)
	if !slices.Equal(got, kinds) {
		t.Errorf("findings %+v, wanted %q", d.Findings, kinds)
	}
}

// TestOpens drills a sound vault of each class, with a sample, with all, and with more than there are.
func TestOpens(t *testing.T) {
	for name, generate := range map[string]func() (string, string, error){"hybrid": seal.GenerateHybrid, "x25519": seal.GenerateX25519} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, generate)
			y.fill(12)
			holds(t, y.drill(5), 12, 5, 5, 0, 0)
			d := y.drill(MaxCount) // the second commit names the same packs again
			holds(t, d, 24, 12, 12, 0, 0)
			if !d.Clean() || d.Recovery != 1 || len(d.Heads) != 2 || d.Statement != 1 {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestEmpty drills a vault without packs.
func TestEmpty(t *testing.T) {
	y := newYard(t, seal.GenerateX25519)
	d := y.drill(50)
	if holds(t, d, 0, 0, 0, 0, 0); d.Clean() || d.Alarming() {
		t.Error("nothing was proved, and nothing is wrong")
	}
}

// TestWrongKey holds that another key opens nothing, and that each pack is named.
func TestWrongKey(t *testing.T) {
	y := newYard(t, seal.GenerateHybrid)
	y.fill(3)
	d := y.drill(50, newKey(t, seal.GenerateHybrid).id, newKey(t, seal.GenerateX25519).id)
	if holds(t, d, 3, 3, 0, 3, 0, report.WrongKey, report.WrongKey, report.WrongKey); !d.Alarming() || !strings.Contains(d.Findings[0].Detail, "1 recipient of kind hybrid") {
		t.Errorf("%+v", d)
	}
}

// TestBadHeaders has one bad pack of each kind among good ones.
func TestBadHeaders(t *testing.T) {
	y := newYard(t, seal.GenerateX25519)
	other := newKey(t, seal.GenerateX25519)
	good := y.sealed("good", y.recovery.recipient)
	swapped := y.sealed("swapped", other.recipient)
	tests := []struct {
		name           string
		stored         []byte
		opened, failed int64
		kinds          []string
	}{
		{"a recipient too many", y.sealed("two", y.recovery.recipient, other.recipient), 1, 0, []string{report.ExtraRecipient}},
		{"another recipient", swapped, 0, 1, []string{report.WrongKey}},
		{"junk stanza", withStanza(good, "-> farshore-test junk\n\n"), 0, 1, []string{report.Damaged}},
		{"junk stanza under a right MAC", grease(t, y.recovery), 1, 0, []string{report.ExtraRecipient, report.OtherRecipient}},
		{"changed header", bytes.Replace(good, []byte("--- "), []byte("--- A"), 1), 0, 1, []string{report.Damaged}},
		{"cut in the header", good[:60], 0, 1, []string{report.Damaged}},
		{"cut behind the header", good[:headerEnd(good)], 1, 0, nil},
		{"empty", nil, 0, 1, []string{report.Damaged}},
		{"garbage", bytes.Repeat([]byte("x"), 100_000), 0, 1, []string{report.Damaged}},
		{"a header without end", []byte("age-encryption.org/v1\n" + strings.Repeat("-> x y\n\n", 100_000)), 0, 1, []string{report.Damaged}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			y := &yard{t: t, store: mem.NewVersioned(), owner: y.owner, agent: y.agent, recovery: y.recovery}
			y.bucket = providers.New(y.store, providers.Options{Attempts: 1})
			id, err := vault.Create(t.Context(), y.bucket, vault.CreateOptions{
				Owner: y.owner, Recovery: []string{y.recovery.recipient}, Metadata: other.recipient, Agent: y.agent.Public(), Time: time.Unix(1, 0),
			})
			y.id = must(t, id, err)
			bad := y.add(tc.stored)
			y.fill(1)
			d := y.drill(50)
			holds(t, d, 2, 2, tc.opened+1, tc.failed, 0, tc.kinds...)
			for _, f := range d.Findings {
				if f.Pack != bad || f.Detail == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// TestMissingAndUnread tells a pack that is gone from one that the store does not give.
func TestMissingAndUnread(t *testing.T) {
	y := newYard(t, seal.GenerateX25519)
	y.fill(2)
	gone := y.packs[0].Name
	h, err := y.bucket.History(t.Context(), record.PackName(gone))
	must(t, h, err)
	y.store.RemoveVersion(record.PackName(gone), h.ID)
	holds(t, y.drill(50), 2, 2, 1, 1, 0, report.Missing)

	denied := &refusing{Versioned: y.store, name: record.PackName(y.packs[1].Name)}
	y.bucket = providers.New(denied, providers.Options{Attempts: 1})
	d := y.drill(50)
	if holds(t, d, 4, 2, 0, 1, 1, report.Missing, report.Unread); !d.Alarming() {
		t.Error("a missing pack is damage")
	}
}

// refusing is a store that denies one name.
type refusing struct {
	*mem.Versioned
	name string
}

func (r *refusing) OpenVersion(ctx ctx, name, id string, off, n int64) (io.ReadCloser, error) {
	if name == r.name {
		return nil, &providers.Error{Kind: providers.Denied, Op: "open", Name: name, Err: errors.New("not this one")}
	}
	return r.Versioned.OpenVersion(ctx, name, id, off, n)
}

// TestBeneath holds that what the agent stored is tried, not what somebody laid over it.
func TestBeneath(t *testing.T) {
	y := newYard(t, seal.GenerateX25519)
	y.fill(2)
	y.store.Hide(record.PackName(y.packs[0].Name))
	y.store.Set(record.PackName(y.packs[1].Name), y.sealed("forged", newKey(t, seal.GenerateX25519).recipient))
	d := y.drill(50)
	if holds(t, d, 2, 2, 2, 0, 0, report.Hidden, report.Hidden); !d.Alarming() {
		t.Error("it alarms nobody")
	}
}

// TestStatements holds each pack to the recipients of the statement that its commit names.
func TestStatements(t *testing.T) {
	y := newYard(t, seal.GenerateX25519)
	y.fill(1)
	first := y.commit()
	if len(first) != 1 {
		t.Fatal(first)
	}
	second := newKey(t, seal.GenerateX25519)
	v := y.open()
	all := v.Statements()
	st := *v.Statement()
	st.N, st.Prev = 2, &all[0].Hash
	st.Recipients = append(slices.Clone(st.Recipients), record.Recipient{Recipient: second.recipient, Role: record.RoleRecovery})
	body, err := record.EncodeStatement(&st)
	must(t, body, err)
	stored, err := sign.Envelope(sign.KindStatement, y.id, body, y.owner)
	must(t, stored, err)
	y.store.Set(record.StatementName(2, sha256.Sum256(stored)), stored)
	y.packs = nil
	y.add(y.sealed("both", y.recovery.recipient, second.recipient))
	y.add(y.sealed("as before", y.recovery.recipient)) // sealed under the first statement, adopted under the second
	y.add(y.sealed("three", y.recovery.recipient, second.recipient, newKey(t, seal.GenerateX25519).recipient))
	d := y.drill(50)
	if holds(t, d, 4, 4, 4, 0, 0, report.ExtraRecipient); d.Recovery != 2 || !strings.Contains(d.Findings[0].Detail, "3 recipients") {
		t.Errorf("%+v", d)
	}
}

// TestOnlyHeaders holds that nothing but first bytes is read of packs, and no more than 16 KiB of each.
func TestOnlyHeaders(t *testing.T) {
	y := newYard(t, seal.GenerateHybrid)
	for i := range 3 {
		y.add(y.sealed(strings.Repeat("x", 1<<20)+fmt.Sprint(i), y.recovery.recipient))
	}
	watch := &watching{Versioned: y.store}
	y.bucket = providers.New(watch, providers.Options{Attempts: 1})
	holds(t, y.drill(50), 3, 3, 3, 0, 0)
	if len(watch.asked) != 3 {
		t.Errorf("%d reads", len(watch.asked))
	}
	for _, a := range watch.asked {
		if a[0] != 0 || a[1] != baseRoom {
			t.Errorf("bytes from %d, %d of them, were asked for", a[0], a[1])
		}
	}
}

// TestFailingIdentity holds that an identity that fails ends the drill: it says nothing about packs.
func TestFailingIdentity(t *testing.T) {
	y := newYard(t, seal.GenerateX25519)
	y.fill(2)
	chains := y.commit()
	_, err := Headers(t.Context(), y.open(), chains, Options{Identities: []age.Identity{broken{}}, Count: 5, Now: time.Unix(200, 0)})
	if err == nil || !strings.Contains(err.Error(), "the recovery identity failed: no token") {
		t.Error(err)
	}
	if d := y.drill(5, broken{}, y.recovery.id); d.Opened != 2 {
		t.Errorf("%+v", d)
	}
	if _, err := Headers(t.Context(), y.open(), chains, Options{Count: 5}); err == nil {
		t.Error("a drill without identity")
	}
}

type broken struct{}

func (broken) Unwrap([]*age.Stanza) ([]byte, error) { return nil, errors.New("no token") }
