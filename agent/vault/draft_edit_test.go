package vault

import (
	"errors"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// base is a statement with an agent, an auditor that was ended, and two recovery recipients.
type base struct {
	st                      *record.Statement
	agent, auditor, another sign.PrivateKey
	metadata                string
	now                     time.Time
}

func newBase(t testing.TB) *base {
	b := &base{agent: newKey(t), auditor: newKey(t), another: newKey(t), metadata: newRecipient(t), now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	owner := newKey(t)
	b.st = firstStatement(CreateOptions{Owner: owner, Recovery: []string{newRecipient(t), newRecipient(t)}, Metadata: b.metadata, Agent: b.agent.Public(), Time: b.now.Add(-time.Hour)})
	b.st.Signers[0].Sources = []string{"shop"}
	b.st.Signers = append(b.st.Signers, record.Signer{
		ID: b.auditor.ID(), Algorithm: sign.Algorithm, Key: b.auditor.Public().String(), Roles: []string{record.RoleAuditor}, Until: b.now.Add(-time.Minute),
	})
	b.st.Revoked = []record.Revocation{{Commit: &record.Hash{7}}}
	return b
}

// next is a copy of the statement with the next number.
func (b *base) next(t testing.TB) *record.Statement {
	t.Helper()
	text, err := record.EncodeStatement(b.st)
	must(t, err)
	st, err := record.DecodeStatement(text)
	must(t, err)
	st.N, st.Prev, st.Time = 2, &record.Hash{1}, b.now
	return st
}

// texts joins the texts and dangers of changes.
func texts(all []Change) string {
	var out []string
	for _, c := range all {
		out = append(out, c.Text+" | "+c.Danger)
	}
	return strings.Join(out, "\n")
}

// TestEdits holds each edit to what it changes, in words, and to a statement that is well-formed.
func TestEdits(t *testing.T) {
	b := newBase(t)
	k, r, chain := b.another.Public(), newRecipient(t), strings.Repeat("ab", 16)
	id := b.agent.ID()
	commit := record.Hash{9}
	for _, tt := range []struct {
		name string
		edit Edit
		want []string
	}{
		{"add an agent", AddAgent(k, r, []string{"wiki", "shop"}), []string{
			"metadata recipient " + shown(r) + " of key " + k.ID() + " is added | \n",
			"key " + k.ID() + ` is added as agent, for "shop", "wiki" | whoever holds the key`, Fingerprint(k.String(), r),
		}},
		{"add an agent for all", AddAgent(k, r, []string{"*"}), []string{"as agent, for all sources"}},
		{"take over a metadata identity", AddAgent(k, b.metadata, []string{"shop"}), []string{"moves from key " + id + " to key " + k.ID() + " | whoever holds its identity can read names"}},
		{"add an auditor", AddAuditor(k), []string{"key " + k.ID() + " is added as auditor | "}},
		{"retire", RetireSigner(id), []string{"key " + id + " (agent) ends at 2026-11-22T00:00:00Z", "metadata recipient " + shown(b.metadata) + " of key " + id + " is no longer sealed to"}},
		{"revoke whole", RevokeSigner(id), []string{"ALL commits of key " + id + ", in every chain, are revoked | snapshots of these commits can't be restored", "ends at", "no longer sealed to"}},
		{"revoke after", RevokeAfter(id, []Point{{chain, 17}}), []string{"commits of key " + id + " in chain " + chain + " after number 17 are revoked | snapshots", "ALL commits of key " + id + ", in every chain that no other line names, are revoked", "ends at"}},
		{"revoke a chain", RevokeAfter(id, []Point{{chain, 0}}), []string{"all commits of key " + id + " in chain " + chain + " are revoked"}},
		{"revoke a commit", RevokeCommits([]record.Hash{commit, {7}}), []string{"the commit with hash " + commit.String() + " is revoked | snapshots"}},
		{"add a recipient", AddRecovery(r), []string{"recovery recipient " + shown(r) + " is added | whoever holds its identity can read everything"}},
		{"retire a recipient", RetireRecovery(b.st.Recipients[0].Recipient), []string{"recovery recipient " + shown(b.st.Recipients[0].Recipient) + " is retired | its identity opens nothing"}},
		{"retire by its beginning", RetireRecovery(brief(b.st.Recipients[1].Recipient)), []string{"recovery recipient " + shown(b.st.Recipients[1].Recipient) + " is retired"}},
		{"raise the format", Upgrade(2), []string{"writers write format 2, and wrote 1 | agents and readers of older programs stop until they are upgraded; this program writes 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := b.next(t)
			must(t, tt.edit(st))
			if _, err := record.EncodeStatement(st); err != nil {
				t.Fatal(err)
			}
			if _, err := seal.NewSealer(recipients(st, record.RoleRecovery, record.RoleMetadata)); err != nil {
				t.Fatal(err)
			}
			got := texts(Changes(b.st, st)) + "\n"
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s\ndoes not have %q", got, want)
				}
			}
		})
	}
}

// TestEditsTake holds edits to leave everything else as it is.
func TestEditsTake(t *testing.T) {
	b := newBase(t)
	st := b.next(t)
	must(t, RevokeSigner(b.agent.ID())(st))
	if len(st.Recipients) != 2 || len(st.Signers) != 2 || !st.Signers[0].Until.Equal(b.now) || len(st.Revoked) != 2 {
		t.Errorf("%+v", st)
	}
	must(t, RevokeSigner(b.agent.ID())(st)) // again
	if len(st.Revoked) != 2 {
		t.Errorf("%+v", st.Revoked)
	}
	st = b.next(t)
	must(t, AddAgent(b.another.Public(), b.metadata, []string{"*"})(st))
	must(t, RevokeSigner(b.agent.ID())(st))
	if r := recipientIn(st, b.metadata, record.RoleMetadata); r == nil || r.Signer != b.another.ID() {
		t.Error("the metadata identity of the new agent went with the old one's")
	}
	// A key that had not begun is taken out: it can't end before it begins.
	st = b.next(t)
	st.Signers[0].From = b.now.Add(time.Hour)
	must(t, RetireSigner(b.agent.ID())(st))
	if _, err := record.EncodeStatement(st); err != nil || st.Signer(b.agent.ID()) != nil {
		t.Errorf("%v, %+v", err, st.Signers)
	}
}

// TestEditsRefuse holds edits to refuse what would be a mistake.
func TestEditsRefuse(t *testing.T) {
	b := newBase(t)
	k, r := b.another.Public(), newRecipient(t)
	_, hybrid, err := seal.GenerateHybrid()
	must(t, err)
	owner, err := sign.ParsePublic(b.st.Owner)
	must(t, err)
	one := b.st.Recipients[0].Recipient
	for _, tt := range []struct {
		name    string
		edit    Edit
		want    string
		nothing bool
	}{
		{"no sources", AddAgent(k, r, nil), "needs the names of the sources", false},
		{"an empty source", AddAgent(k, r, []string{""}), "needs the names of the sources", false},
		{"the owner's key", AddAgent(owner, r, []string{"*"}), "the owner's own key", false},
		{"a key that is there", AddAgent(b.agent.Public(), r, []string{"*"}), "is named already", false},
		{"a key that was ended", AddAgent(b.auditor.Public(), r, []string{"*"}), "was ended at", false},
		{"a recovery recipient as metadata", AddAgent(k, one, []string{"*"}), "must not hold a recovery identity", false},
		{"metadata of another class", AddAgent(k, hybrid, []string{"*"}), "age refuses to mix them", false},
		{"no recipient", AddAgent(k, "age1x", []string{"*"}), "metadata recipient", false},
		{"retire nobody", RetireSigner(k.ID()), "names no key", false},
		{"retire twice", RetireSigner(b.auditor.ID()), "was ended at", true},
		{"revoke nobody", RevokeSigner("x"), "names no key", false},
		{"revoke nobody after", RevokeAfter("x", nil), "names no key", false},
		{"revoke a commit twice", RevokeCommits([]record.Hash{{7}}), "revoked already", true},
		{"a recipient of another class", AddRecovery(hybrid), "age refuses to mix them", false},
		{"a recipient twice", AddRecovery(one), "a recipient already", false},
		{"an identity", AddRecovery("AGE-SECRET-KEY-1XYZ"), "identity", false},
		{"retire a stranger", RetireRecovery(r), "no recovery recipient begins with", false},
		{"retire a metadata recipient", RetireRecovery(b.metadata), "no recovery recipient begins with", false},
		{"retire with too little", RetireRecovery("age1"), "too short", false},
		{"the format that there is", Upgrade(1), "format is 1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.edit(b.next(t)); err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrNothing) != tt.nothing {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	st := b.next(t)
	must(t, RetireRecovery(one)(st))
	if err := RetireRecovery(st.Recipients[0].Recipient)(st); err == nil || !strings.Contains(err.Error(), "the only recovery recipient") {
		t.Errorf("the last one: %v", err)
	}
	st.Format = 2
	if err := Upgrade(1)(st); err == nil || errors.Is(err, ErrNothing) {
		t.Errorf("a newer format than the program's: %v", err)
	}
}

// TestChanges holds what no edit makes to be said as well: somebody else may have made the draft.
func TestChanges(t *testing.T) {
	b := newBase(t)
	id := b.agent.ID()
	list := record.Ref{Name: record.Hash{3}, Size: 12}
	steward := newKey(t)
	for _, tt := range []struct {
		name   string
		change func(*record.Statement)
		want   []string
	}{
		{"nothing", func(st *record.Statement) {}, nil},
		{"the order alone", func(st *record.Statement) {
			st.Recipients[0], st.Recipients[1] = st.Recipients[1], st.Recipients[0]
			st.Signers[0], st.Signers[1] = st.Signers[1], st.Signers[0]
		}, nil},
		{"all sources", func(st *record.Statement) { st.Signers[0].Sources = []string{"*"} }, []string{`counts, for all sources, and counted, for "shop" | ` + dangerWidened}},
		{"one source less", func(st *record.Statement) { st.Signers[0].Sources = nil }, []string{`counts, for no source, and counted, for "shop" | `}},
		{"a source that moves the cursor", func(st *record.Statement) { st.Signers[0].Sources = []string{"\x1b[2Jshop"} }, []string{`"\x1b[2Jshop"`}},
		{"another role", func(st *record.Statement) { st.Signers[1].Roles = []string{record.RoleAuditor, record.RoleAgent} }, []string{"is auditor, agent, and was auditor | " + dangerWidened}},
		{"revived", func(st *record.Statement) { st.Signers[1].Until = time.Time{} }, []string{"(auditor) counts until any time, and did until 2026-11-21T23:59:00Z | " + dangerWidened}},
		{"later end", func(st *record.Statement) { st.Signers[1].Until = b.now }, []string{"counts until 2026-11-22T00:00:00Z, and did until", dangerWidened}},
		{"a beginning", func(st *record.Statement) { st.Signers[0].From = b.now }, []string{"counts from 2026-11-22T00:00:00Z on, and did from any time | "}},
		{"taken out", func(st *record.Statement) { st.Signers = st.Signers[1:] }, []string{"key " + id + " (agent) is no longer named"}},
		{"a steward", func(st *record.Statement) {
			st.Signers = append(st.Signers, record.Signer{ID: steward.ID(), Algorithm: sign.Algorithm, Key: steward.Public().String(), Roles: []string{record.RoleSteward}})
		}, []string{"is added as steward | " + dangerSteward}},
		{"an orphan's metadata", func(st *record.Statement) {
			st.Recipients = append(st.Recipients, record.Recipient{Recipient: newRecipient(t), Role: record.RoleMetadata, Signer: steward.ID()})
		}, []string{dangerOrphan}},
		{"a second metadata recipient", func(st *record.Statement) {
			st.Recipients = append(st.Recipients, record.Recipient{Recipient: newRecipient(t), Role: record.RoleMetadata, Signer: id})
		}, []string{"is added to key " + id + ", which was named before | " + dangerMetadata}},
		{"metadata becomes recovery", func(st *record.Statement) { st.Recipients[2].Role, st.Recipients[2].Signer = record.RoleRecovery, "" }, []string{"recovery recipient " + shown(b.metadata) + " is added | " + dangerRecovery}},
		{"a revocation gone", func(st *record.Statement) { st.Revoked = nil }, []string{"is no longer revoked | " + dangerRestored}},
		{"a chain alone", func(st *record.Statement) {
			st.Revoked = append(st.Revoked, record.Revocation{Signer: id, Chain: strings.Repeat("ab", 16), Seq: 3})
		}, []string{"after number 3 are revoked | " + dangerRevoked + dangerAlone}},
		{"parameters", func(st *record.Statement) { st.Parameters.PackSize, st.Parameters.Chunking = 5, "other" }, []string{"parameter pack_size is 5, and was 33554432", `parameter chunking is "other", and was "jc-v1.0.0" | ` + dangerParameter}},
		{"a prune list", func(st *record.Statement) { st.Prune = []record.Prune{{List: list, Since: b.now}} }, []string{"what is on list " + list.Name.String(), dangerPrune}},
		{"a remap list", func(st *record.Statement) { st.Remap = []record.Ref{list} }, []string{"damaged and moved ranges", dangerRemap}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := b.next(t)
			tt.change(st)
			got := texts(Changes(b.st, st))
			if (got == "") != (tt.want == nil) {
				t.Errorf("%q", got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s\ndoes not have %q", got, want)
				}
			}
			if back := texts(Changes(st, b.st)); (back == "") != (tt.want == nil) {
				t.Errorf("the other way round: %q", back)
			}
		})
	}
	if got := texts(Changes(nil, b.st)); !strings.HasPrefix(got, "begins the vault, with format 1") || strings.Count(got, "\n") != 6 {
		t.Errorf("the first statement:\n%s", got)
	}
}

// TestStanding says why a key may not write.
func TestStanding(t *testing.T) {
	b := newBase(t)
	for _, tt := range []struct {
		name, id, want string
		change         func(*record.Statement)
	}{
		{"it may", b.agent.ID(), "", func(*record.Statement) {}},
		{"unknown", b.another.ID(), "does not name this agent's key", func(*record.Statement) {}},
		{"an auditor", b.auditor.ID(), "names this key " + b.auditor.ID() + " for auditor", func(*record.Statement) {}},
		{"ended", b.agent.ID(), "ended this agent's key", func(st *record.Statement) { st.Signers[0].Until = b.now }},
		{"revoked", b.agent.ID(), "revoked this agent's key", func(st *record.Statement) { must(t, RevokeSigner(b.agent.ID())(st)) }},
		{"some revoked", b.agent.ID(), "", func(st *record.Statement) {
			st.Revoked = []record.Revocation{{Signer: b.agent.ID(), Chain: strings.Repeat("ab", 16), Seq: 1}}
		}},
		{"not yet", b.agent.ID(), "lets this agent's key", func(st *record.Statement) { st.Signers[0].From = b.now.Add(time.Second) }},
	} {
		st := b.next(t)
		tt.change(st)
		err := Standing(st, tt.id, b.now)
		if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, ErrNotNamed) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestChangesOfRevocations holds what makes commits count again, or no longer, to be said as such: a line more can do either.
func TestChangesOfRevocations(t *testing.T) {
	b := newBase(t)
	id, chain := b.agent.ID(), strings.Repeat("ab", 16)
	whole, after := record.Revocation{Signer: id}, record.Revocation{Signer: id, Chain: chain, Seq: 17}
	for _, tt := range []struct {
		name       string
		prev, next []record.Revocation
		want       string
	}{
		{"all, and then up to 17 again", []record.Revocation{whole}, []record.Revocation{whole, after}, "commits of key " + id + " in chain " + chain + " up to number 17 count again | " + dangerRestored},
		{"after 17, and then all", []record.Revocation{whole, after}, []record.Revocation{whole}, "all commits of key " + id + " in chain " + chain + " are revoked, and were after number 17 | " + dangerRevoked},
		{"after 17, and then nothing", []record.Revocation{after}, nil, "no longer revoked | " + dangerRestored},
		{"the key's other chains again", []record.Revocation{whole, after}, []record.Revocation{after}, "no longer revoked | " + dangerRestored},
	} {
		prev, next := b.next(t), b.next(t)
		prev.Revoked, next.Revoked = tt.prev, tt.next
		if got := texts(Changes(prev, next)); !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: %s, want %q", tt.name, got, tt.want)
		}
	}
}

// TestShown holds that two recipients which begin alike are shown as two: whoever compares what is to be signed compares all of it.
func TestShown(t *testing.T) {
	_, long, err := seal.GenerateHybrid()
	must(t, err)
	other := long[:len(long)-1] + map[bool]string{true: "q", false: "p"}[strings.HasSuffix(long, "p")]
	if a, b := shown(long), shown(other); a == b || len(a) > 120 || !strings.HasPrefix(a, long[:24]) {
		t.Errorf("%s\n%s", a, b)
	}
	if r := newRecipient(t); shown(r) != r {
		t.Errorf("%s is shown as %s", r, shown(r))
	}
}
