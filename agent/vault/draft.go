package vault

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// WritesFormat is the version of docs/format.md that this program's writers write.
const WritesFormat = 1

// MaxDraft is the number of bytes that a draft or a request has at most. A post-quantum recipient takes two thousand, so that thousands of agents have room.
const MaxDraft = 8 << 20

// draftSchema names the file's form.
const draftSchema = "farshore.draft/1"

// Draft is an owner's statement before it is signed, with all that it takes to judge it on a machine that sees no store. It proves nothing by itself: Check holds it
// to the owner's key, and what it changes is computed from the two statements, never read.
type Draft struct {
	// VaultID is the id of the vault that the statement is for.
	VaultID string
	// Prev are the stored bytes of the statement that it follows.
	Prev []byte
	// Next is the statement to sign.
	Next *record.Statement
}

// Edit changes a copy of the newest statement into the next one.
type Edit func(*record.Statement) error

// Draft returns the statement that follows the newest as a draft, made at the time now. The error is the edit's, or says why no reader would follow the statement.
func (v *Vault) Draft(ctx context.Context, now time.Time, note string, edit Edit) (*Draft, error) {
	last := len(v.hashes) - 1
	hash := v.hashes[last]
	prev, err := v.readNamed(ctx, record.StatementName(v.Statement().N, hash), hash)
	if err != nil {
		return nil, err
	}
	signed, err := sign.Parse(kindStatement, prev)
	if err != nil {
		return nil, err
	}
	next, err := record.DecodeStatement(signed.JSON) // a copy of its own
	if err != nil {
		return nil, err
	}
	next.N, next.Prev, next.Time, next.Note = next.N+1, &hash, now.UTC(), note
	if !next.Time.After(v.Statement().Time) { // this machine's clock is behind
		next.Time = v.Statement().Time.Add(time.Nanosecond)
	}
	if err := edit(next); err != nil {
		return nil, err
	}
	d := &Draft{VaultID: v.id, Prev: prev, Next: next}
	if _, err := d.Check(v.owner); err != nil {
		return nil, err
	}
	if len(Changes(v.Statement(), next)) == 0 {
		return nil, fmt.Errorf("%w: statement %d says so already", ErrNothing, v.Statement().N)
	}
	return d, nil
}

// Check holds the draft to the owner's key, and returns the statement that it follows: that one must be the owner's, of this very vault, and the next one must follow it by the rules.
func (d *Draft) Check(owner sign.PublicKey) (prev *record.Statement, err error) {
	signed, err := sign.Parse(kindStatement, d.Prev)
	if err != nil {
		return nil, fmt.Errorf("the statement that the draft follows: %w", err)
	}
	hash := record.Hash(sha256.Sum256(d.Prev))
	signedFor := d.VaultID
	if hash.String() == d.VaultID {
		signedFor = sign.NoVault // the first statement's own hash is the id
	}
	if err := signed.Verify(signedFor, owner); err != nil {
		return nil, fmt.Errorf("the statement that the draft follows is not by this owner, or not of vault %s: %w", d.VaultID, err)
	}
	if prev, err = record.DecodeStatement(signed.JSON); err != nil {
		return nil, fmt.Errorf("the statement that the draft follows: %w", err)
	}
	if (prev.N == 1) != (signedFor == sign.NoVault) {
		return nil, fmt.Errorf("the statement that the draft follows says that it is number %d: it does not begin vault %s", prev.N, d.VaultID)
	}
	if prev.Owner != owner.String() {
		return nil, fmt.Errorf("the statement that the draft follows names %s as its owner, not %s", prev.Owner, owner)
	}
	return prev, succeeds(prev, hash, d.Next)
}

// succeeds holds a statement to what every reader demands of the successor of prev, and to what keeps a vault usable.
func succeeds(prev *record.Statement, hash record.Hash, next *record.Statement) error {
	switch {
	case next.N != prev.N+1:
		return fmt.Errorf("it is number %d, and follows number %d", next.N, prev.N)
	case next.Prev == nil || *next.Prev != hash:
		return fmt.Errorf("it does not name the hash of statement %d", prev.N)
	case next.Owner != prev.Owner:
		return fmt.Errorf("it names another owner, %s: a vault's owner never changes", next.Owner)
	case next.Time.Before(prev.Time):
		return fmt.Errorf("its time %s lies before that of statement %d", record.FormatTime(next.Time), prev.N)
	case next.Format < prev.Format:
		return fmt.Errorf("it lowers the format from %d to %d", prev.Format, next.Format)
	}
	if _, err := seal.NewSealer(recipients(next, record.RoleRecovery, record.RoleMetadata)); err != nil {
		return fmt.Errorf("nobody could seal to its recipients: %w", err)
	}
	return nil
}

// Sign checks the draft and signs it. It returns the statement's name in the vault and the bytes to store there. The same draft and key give the same bytes.
func (d *Draft) Sign(k sign.PrivateKey) (name string, stored []byte, err error) {
	if _, err := d.Check(k.Public()); err != nil {
		return "", nil, err
	}
	stored, err = encodeSigned(kindStatement, d.VaultID, func() ([]byte, error) { return record.EncodeStatement(d.Next) }, k)
	if err != nil {
		return "", nil, err
	}
	return record.StatementName(d.Next.N, sha256.Sum256(stored)), stored, nil
}

// Changes says what the draft changes, computed from the two statements. The draft must have passed Check, which returned prev.
func (d *Draft) Changes(prev *record.Statement) []Change { return Changes(prev, d.Next) }

// draftFile is a draft as it is written.
type draftFile struct {
	Schema string          `json:"schema"`
	Vault  string          `json:"vault"`
	Prev   string          `json:"prev"`
	Next   json.RawMessage `json:"next"`
}

// Encode writes the draft as a file.
func (d *Draft) Encode() ([]byte, error) {
	next, err := record.EncodeStatement(d.Next)
	if err != nil {
		return nil, err
	}
	return encodeFile("draft", draftFile{draftSchema, d.VaultID, base64.StdEncoding.EncodeToString(d.Prev), next})
}

// DecodeDraft reads a draft's file and checks its form, not the signature of what it follows: that is Check's.
func DecodeDraft(data []byte) (*Draft, error) {
	m, err := readFile("draft", draftSchema, data, "vault", "prev", "next")
	if err != nil {
		return nil, err
	}
	d := new(Draft)
	var prev string
	if d.VaultID, err = m.hash("vault"); err != nil {
		return nil, err
	}
	if prev, err = m.text("prev"); err != nil {
		return nil, err
	}
	if d.Prev, err = base64.StdEncoding.Strict().DecodeString(prev); err != nil {
		return nil, errors.New("draft: prev is not base64: the file was damaged")
	}
	if _, err := sign.Parse(kindStatement, d.Prev); err != nil {
		return nil, fmt.Errorf("draft: prev: %w", err)
	}
	if d.Next, err = record.DecodeStatement(m.of["next"]); err != nil {
		return nil, fmt.Errorf("draft: next: %w", err)
	}
	return d, wholly(m.of["next"], d.Next)
}

// wholly refuses a statement that says anything that this program does not know: it could not show it to the owner, and would not sign it.
func wholly(text []byte, st *record.Statement) error {
	again, err := record.EncodeStatement(st)
	if err != nil {
		return fmt.Errorf("draft: next: %w", err)
	}
	if !sameJSON(text, again) {
		return errors.New("draft: next: it has members or spellings that this program does not write, and could not show: make the draft with the version that is to sign it")
	}
	return nil
}

// Stated is one of the owner's statements with the hash of its stored bytes.
type Stated struct {
	*record.Statement
	Hash record.Hash
}

// Statements are the owner's, in order; the last is in force. They must not be changed.
func (v *Vault) Statements() []Stated {
	out := make([]Stated, len(v.statements))
	for i, st := range v.statements {
		out[i] = Stated{st, v.hashes[i]}
	}
	return out
}

// Loss says how many commits of a chain a statement takes out of force.
type Loss struct {
	Chain, Source string
	// Commits that no longer count, of them First is the lowest number.
	Commits, First int64
}

// Losses says what the next statement takes out of force of the chains, which are those of Chains. Time and memory are in proportion to the commits.
func (v *Vault) Losses(chains []*Chain, next *record.Statement) []Loss {
	then := *v
	then.statements = append(slices.Clone(v.statements), next)
	var out []Loss
	for _, c := range chains {
		l := Loss{Chain: c.ID, Source: c.Source.Name}
		for _, k := range c.Commits {
			if !k.Revoked && (then.revoked(k) || then.revokedAfter(k)) {
				if l.Commits++; l.First == 0 {
					l.First = k.Seq
				}
			}
		}
		if l.Commits > 0 {
			out = append(out, l)
		}
	}
	return out
}
