package report

import (
	"errors"
	"fmt"
	"time"

	"farshore/agent/record"
)

// Body is what a report says: a *HeaderDrill, a *Commitment or an *Audit.
type Body interface {
	// common returns what the bodies of all types have.
	common() common
	// check refuses what no run can have come to.
	check() error
}

// common points to what the bodies of all types have.
type common struct {
	kind  string // what Type must be
	typ   *string
	prev  **record.Hash
	vault record.Hash
	time  time.Time
	// statement is the number of the newest statement that was known.
	statement int64
}

func (d *HeaderDrill) common() common {
	return common{TypeHeaderDrill, &d.Type, &d.Prev, d.Vault, d.Time, d.Statement}
}

func (c *Commitment) common() common {
	return common{TypeCommitment, &c.Type, &c.Prev, c.Vault, c.Time, c.Statement}
}

func (a *Audit) common() common {
	return common{TypeAudit, &a.Type, &a.Prev, a.Vault, a.Time, a.Statement}
}

// check refuses what no body has.
func (c common) check() error {
	switch {
	case *c.typ != c.kind:
		return fmt.Errorf("type is %.40q, not %q", *c.typ, c.kind)
	case c.vault.IsZero():
		return errors.New("vault is missing")
	case *c.prev != nil && (*c.prev).IsZero():
		return errors.New("prev is the zero hash")
	case !isTime(c.time):
		return errors.New("time is none between the years 1 and 9999")
	case c.statement < 1:
		return errors.New("statement is less than 1")
	}
	return nil
}

// isTime reports whether t can be written: the zero time stands for none.
func isTime(t time.Time) bool {
	year := t.UTC().Year()
	return !t.IsZero() && year >= 1 && year <= 9999
}

// newBody returns an empty body of the type, nil where it is not known.
func newBody(kind string) Body {
	switch kind {
	case TypeHeaderDrill:
		return new(HeaderDrill)
	case TypeCommitment:
		return new(Commitment)
	case TypeAudit:
		return new(Audit)
	}
	return nil
}
