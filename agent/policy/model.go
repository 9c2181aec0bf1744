package policy

import (
	"slices"
	"strings"
)

// Role is a role of the vault.
type Role string

// Roles.
const (
	Writer   Role = "writer"
	Auditor  Role = "auditor"
	Restorer Role = "restorer"
	Steward  Role = "steward"
	Owner    Role = "owner"
)

// Roles are all roles, in the order of the design.
func Roles() []Role { return []Role{Writer, Auditor, Restorer, Steward, Owner} }

func roleNames() string {
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// rooms are the vault's rooms. Canaries lie inside each, so that whatever is granted for a room holds for its canaries.
var rooms = []string{"packs", "meta", "commits", "reports", "vault"}

// ability is one thing that a role may do.
type ability int

const (
	create ability = iota // a name that does not exist
	read                  // contents, of every version
	locks                 // until when a version is kept
	extend                // that date, to a later one
)

// powers say what a role may do: which rooms each ability covers.
type powers struct {
	create, read, locks, extend []string
	// canaries are rooms in which it may read the probe's objects and no others: what it wrote itself must be readable there to show that an original
	// lies beneath.
	canaries []string
	// settings: it may ask how the bucket keeps objects.
	settings bool
}

// of tells what a role may do. There is no ability to delete, to hide, to shorten, or to change a setting: what the model can't say no
// document grants.
func (r Role) powers(readBack bool) powers {
	all := slices.Clone(rooms)
	switch r {
	case Writer:
		p := powers{create: all[:4], read: all[1:], locks: all, canaries: all[:1], settings: true}
		if readBack {
			p.read, p.canaries = all, nil
		}
		return p
	case Auditor:
		return powers{create: []string{"reports"}, read: all, locks: all, settings: true}
	case Restorer:
		return powers{read: all}
	case Steward:
		return powers{read: all[1:], locks: all, extend: all, settings: true}
	case Owner:
		return powers{create: []string{"vault"}, read: all, locks: all, settings: true}
	}
	return powers{}
}

// in returns the rooms that an ability covers.
func (p powers) in(a ability) []string {
	switch a {
	case create:
		return p.create
	case read:
		return p.read
	case locks:
		return p.locks
	case extend:
		return p.extend
	}
	return nil
}

// folders returns what names begin with that an ability covers, below the vault's prefix: "packs/".
func (p powers) folders(a ability) []string {
	var out []string
	for _, room := range p.in(a) {
		out = append(out, room+"/")
	}
	if a == read {
		for _, room := range p.canaries {
			out = append(out, room+"/canary/")
		}
	}
	return out
}

// everywhere reports whether an ability covers all rooms, so that the vault's prefix alone says it.
func (p powers) everywhere(a ability) bool { return len(p.in(a)) == len(rooms) }

// sentence says for people what the role may do.
func (r Role) sentence(readBack bool) string {
	switch {
	case r == Writer && readBack:
		return "the agent: creates under packs/, meta/, commits/ and reports/, reads and lists everything"
	case r == Writer:
		return "the agent: creates under packs/, meta/, commits/ and reports/, lists everything, reads everything but packs/"
	case r == Auditor:
		return "verification: reads and lists everything, creates under reports/"
	case r == Restorer:
		return "restoring: reads and lists everything"
	case r == Steward:
		return "keeping: extends locks, reads everything but packs/, lists everything"
	}
	return "the owner's own credential: creates under vault/, reads and lists everything"
}
