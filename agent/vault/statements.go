package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/crypto/sign"
	"farshore/providers"
)

// Bounds of reading statements. Not every store can keep an agent, or who has its credential, from creating below vault/: junk there costs time, and keeps nobody from the vault.
const (
	maxRivals   = 1000 // first statements that are remembered, by different owners, where none is pinned
	maxWithheld = 1000 // objects that the store did not give and that are asked for once more
	maxNotes    = 1000 // findings that are kept
)

// statementReader reads the statements as a listing gives their names: those with number 1 come before all others, so that each other one is held to the owner's key
// at once. Memory is in proportion to what the owner signed. Not safe for concurrent use.
type statementReader struct {
	v        *Vault
	o        Options
	batch    []providers.Name
	bytes    int64
	begun    bool
	first    []candidate
	byNumber map[int64][]candidate // from 2 on, signed by the owner
	withheld []providers.Name
	why      error // what the store said of the first of these
}

// loadStatements reads vault/, keeps the chain that leads from the owner's key, and notes the rest.
func (v *Vault) loadStatements(ctx context.Context, o Options) error {
	r := &statementReader{v: v, o: o, byNumber: map[int64][]candidate{}}
	for n, err := range v.bucket.Names(ctx, "vault/", "") {
		if err != nil {
			return err
		}
		if err := r.add(ctx, n); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	if err := r.again(ctx); err != nil {
		return err
	}
	for n := int64(2); ; n++ {
		next, err := v.chooseNext(n, r.byNumber[n])
		if err != nil {
			return err
		}
		if next == nil {
			v.noteBeyond(n, r.byNumber)
			return nil
		}
		v.accept(next)
	}
}

// add takes the next name.
func (r *statementReader) add(ctx context.Context, n providers.Name) error {
	switch {
	case record.IsCanary(n.Name):
		return nil
	case n.Versions == 0:
		r.v.sightings.add(layers(&n, -1, nil)...)
		return nil
	case len(r.batch) == readAhead, len(r.batch) > 0 && r.bytes+n.Size > readAheadBytes:
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.batch = append(r.batch, n)
	r.bytes += n.Size
	return nil
}

// flush reads the batch and takes what it has.
func (r *statementReader) flush(ctx context.Context) error {
	found, errs := make([]candidate, len(r.batch)), make([]error, len(r.batch))
	var g errgroup.Group
	for i := range r.batch {
		g.Go(func() error {
			found[i], errs[i] = r.v.readStatement(ctx, &r.batch[i])
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	for i := range r.batch {
		if err := r.take(&r.batch[i], found[i], errs[i]); err != nil {
			return err
		}
	}
	r.batch, r.bytes = r.batch[:0], 0
	return nil
}

// take takes what was found under a name.
func (r *statementReader) take(at *providers.Name, c candidate, err error) error {
	var d *DamageError
	switch {
	case errors.As(err, &d):
		r.v.note(Tampering, at.Name, "ignored: %v", d.Err)
		return nil
	case keptBack(err):
		if r.why == nil {
			r.why = err
		}
		if len(r.withheld) < maxWithheld {
			r.withheld = append(r.withheld, *at)
		} else {
			r.v.noteWithheld(at.Name, err)
		}
		return nil
	case err != nil:
		return err
	case c.st.N == 1:
		return r.takeFirst(c)
	}
	if err := r.begin(); err != nil {
		return err
	}
	if c.sig.Verify(r.v.id, r.v.owner) != nil {
		r.v.note(Tampering, c.name, "ignored: the owner did not sign it")
		return nil
	}
	r.byNumber[c.st.N] = append(r.byNumber[c.st.N], c)
	return nil
}

// takeFirst takes a first statement that the options allow.
func (r *statementReader) takeFirst(c candidate) error {
	owner, err := sign.ParsePublic(c.st.Owner)
	switch o := &r.o; {
	case err != nil:
		r.v.note(Tampering, c.name, "ignored: %v", err)
	case o.Owner != nil && owner.String() != o.Owner.String():
		r.v.note(Tampering, c.name, "ignored: it is signed by %s, not by the owner of this vault", owner)
	case c.sig.Verify("-", owner) != nil:
		r.v.note(Tampering, c.name, "ignored: its signature is wrong")
	case o.ID != "" && c.hash.String() != o.ID:
		r.v.note(Tampering, c.name, "ignored: it begins another vault than %s", o.ID)
	case r.begun:
		return r.ambiguous(2) // it came late
	case len(r.first) == maxRivals:
		return r.ambiguous(maxRivals + 1)
	default:
		r.first = append(r.first, c)
	}
	return nil
}

// begin settles which is the first statement.
func (r *statementReader) begin() error {
	if r.begun {
		return nil
	}
	switch len(r.first) {
	case 1:
	case 0:
		return r.none()
	default:
		return r.ambiguous(len(r.first))
	}
	first, v := &r.first[0], r.v
	owner, err := sign.ParsePublic(first.st.Owner)
	if err != nil {
		return err
	}
	v.owner, v.pinned, v.id = owner, r.o.Owner != nil, first.hash.String()
	v.accept(first)
	r.begun = true
	return nil
}

// none says that there is no first statement.
func (r *statementReader) none() error {
	v := r.v
	switch {
	case r.why != nil:
		return r.why
	case len(v.findings) == 0:
		return &NoVaultError{Place: v.bucket.Traits().Place}
	}
	return fmt.Errorf("%s: no first statement by the expected owner%s: this is not the vault that the key belongs to, or it was tampered with", v.bucket.Traits().Place, v.findingText())
}

// ambiguous says that there are several first statements.
func (r *statementReader) ambiguous(n int) error {
	place := r.v.bucket.Traits().Place
	if r.o.Owner == nil && r.o.ID == "" {
		return fmt.Errorf("%s has %d first statements or more by different keys: the owner's key is needed to tell which is the vault's", place, n)
	}
	return fmt.Errorf("the owner signed %d different first statements or more in %s: the vault's id is needed to tell them apart", n, place)
}

// again reads once more what the store did not give, now that it can be told whether it gives the first statement. What it still withholds is noted and passed over: a statement
// that was readable when the owner placed it does not become so, where nobody can change it, and junk that nobody can read must not close the vault.
func (r *statementReader) again(ctx context.Context) error {
	withheld := r.withheld
	r.withheld = nil
	for i := range withheld {
		c, err := r.v.readStatement(ctx, &withheld[i])
		switch {
		case keptBack(err) && r.v.Withheld(ctx, err):
			r.v.noteWithheld(withheld[i].Name, err)
			continue
		case keptBack(err):
			return err
		}
		if err := r.take(&withheld[i], c, err); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) noteWithheld(name string, err error) {
	v.note(Damage, name, "the store does not give it, so whether the owner signed it is not known: %v", err)
}

type candidate struct {
	name string
	hash record.Hash
	sig  sign.Signed
	st   *record.Statement
}

// readStatement reads what is named as a statement. Where the name has several versions it takes the one with the hash, which says nothing yet of who signed it.
func (v *Vault) readStatement(ctx context.Context, at *providers.Name) (candidate, error) {
	bad := func(err error) (candidate, error) { return candidate{}, &DamageError{at.Name, err} }
	n, hash, err := record.ParseStatementName(at.Name)
	if err != nil {
		return bad(err)
	}
	stored, err := v.statementBytes(ctx, at, hash)
	if err != nil {
		return candidate{}, err
	}
	sig, err := sign.Parse(kindStatement, stored)
	if err != nil {
		return bad(err)
	}
	st, err := record.DecodeStatement(sig.JSON)
	if err != nil {
		return bad(err)
	}
	if st.N != n {
		return bad(fmt.Errorf("it says it is number %d", st.N))
	}
	return candidate{at.Name, hash, sig, st}, nil
}

func (v *Vault) statementBytes(ctx context.Context, at *providers.Name, hash record.Hash) ([]byte, error) {
	if at.Plain() {
		if at.Size > providers.MaxObject {
			return nil, &DamageError{at.Name, fmt.Errorf("it has %d bytes, and an object of a vault at most %d", at.Size, providers.MaxObject)}
		}
		return v.readNamed(ctx, at.Name, hash)
	}
	s, err := v.Search(ctx, at, hash)
	v.sightings.add(s.Findings...)
	switch {
	case s.Right != nil:
		return v.readVersion(ctx, at.Name, s.Right.ID, hash)
	case err != nil:
		return nil, err
	}
	return nil, &DamageError{at.Name, errors.New("none of its versions has the hash in its name")}
}

func (v *Vault) findingText() string {
	var b strings.Builder
	for i, f := range v.findings {
		if i == 3 {
			b.WriteString("; …")
			break
		}
		fmt.Fprintf(&b, "; %s: %s", f.Object, f.Text)
	}
	return b.String()
}

// NoVaultError says that a place has no vault.
type NoVaultError struct{ Place string }

// Error names the place.
func (e *NoVaultError) Error() string {
	return e.Place + " holds no vault: it has no owner's statement"
}

func (v *Vault) chooseNext(n int64, cands []candidate) (*candidate, error) {
	var good []candidate
	for _, c := range cands {
		switch {
		case c.st.Owner != v.owner.String() || c.st.Prev == nil || *c.st.Prev != v.hashes[n-2]:
			v.note(Tampering, c.name, "ignored: it does not follow statement %d", n-1)
		default:
			good = append(good, c)
		}
	}
	if len(good) > 1 {
		return nil, fmt.Errorf("the owner signed two different statements number %d (%s, %s): nobody can tell which holds", n, good[0].name, good[1].name)
	}
	if len(good) == 0 {
		return nil, nil
	}
	return &good[0], nil
}

func (v *Vault) accept(c *candidate) {
	v.statements = append(v.statements, c.st)
	v.hashes = append(v.hashes, c.hash)
}

func (v *Vault) noteBeyond(n int64, byNumber map[int64][]candidate) {
	for _, m := range slices.Sorted(maps.Keys(byNumber)) {
		for _, c := range byNumber[m] {
			if m > n {
				v.note(Damage, c.name, "the owner signed it, but statement %d, which it follows, is missing", n)
			}
		}
	}
}
