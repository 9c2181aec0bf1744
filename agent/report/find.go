package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrNoReport says that no report that counts is meant by what was asked for.
var ErrNoReport = errors.New("no such report counts in this vault")

// Latest is what Find knows the newest audit by, among those whose time has come; where there is none, the newest report.
const Latest = "latest"

// maxAhead is how far an audit's time may lie ahead of this machine's clock and be the latest.
const maxAhead = 24 * time.Hour

// leastDigits is how many digits of a hash name a report.
const leastDigits = 8

// Find returns the report of the shelf that id means: its name, "signer/number", at least 8 digits of its hash, or Latest. Errors: ErrNoReport, or that several are meant.
func Find(s *Shelf, id string) (*Entry, error) {
	id = strings.TrimSpace(id)
	if id == Latest {
		return s.latest()
	}
	name := id
	if signer, number, slash := strings.Cut(strings.TrimPrefix(id, Room), "/"); slash {
		seq, err := strconv.ParseInt(number, 10, 64)
		if !isHex(signer, signerDigits) || err != nil || seq < 1 || seq > maxSeq {
			return nil, fmt.Errorf("%.120q names no report: it is a name below %s, SIGNER/NUMBER, at least %d digits of its hash, or %s", id, Room, leastDigits, Latest)
		}
		name = Name(signer, seq)
	} else if len(id) < leastDigits || !isHex(id, len(id)) || len(id) > 64 {
		return nil, fmt.Errorf("%.120q names no report: it is a name below %s, SIGNER/NUMBER, at least %d digits of its hash, or %s", id, Room, leastDigits, Latest)
	}
	var found *Entry
	for _, e := range s.Entries {
		if e.Name != name && !strings.HasPrefix(e.Hash.String(), name) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("the hashes of %s and %s begin with %s: give more digits", found.Name, e.Name, id)
		}
		found = e
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %.120q", ErrNoReport, id)
	}
	return found, nil
}

func (s *Shelf) latest() (*Entry, error) {
	// One whose time is to come is not the newest: whoever has a key could have his shown for years.
	for _, e := range s.Entries {
		if e.Audit != nil && e.Time.Sub(s.read) <= maxAhead {
			return e, nil
		}
	}
	for _, e := range s.Entries {
		if e.Audit != nil {
			return e, nil
		}
	}
	for _, e := range s.Entries {
		if e.Commitment == nil {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: there is none yet", ErrNoReport)
}
