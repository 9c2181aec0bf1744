package wire

import (
	"fmt"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

// manifest makes a manifest of what a server listed, and says what of it has no place there, in lines "what: why".
func manifest(format string, list []advertised) (*refs.Manifest, string, error) {
	m := &refs.Manifest{Format: format}
	var omitted strings.Builder
	for _, a := range list {
		switch {
		case a.name == "HEAD" && a.symref != "":
			m.Head = a.symref
		case a.name == "HEAD":
			m.HeadOID = a.oid
		case refs.ValidName(a.name):
			m.Refs = append(m.Refs, refs.Ref{Name: a.name, OID: a.oid, Symref: a.symref})
		default:
			fmt.Fprintf(&omitted, "ref %s: git allows no ref of this name\n", clean(a.name))
		}
	}
	slices.SortFunc(m.Refs, func(a, b refs.Ref) int { return strings.Compare(a.Name, b.Name) })
	if err := m.Check(); err != nil {
		return nil, "", &source.Unreadable{Reason: record.ReasonBroken, Detail: "what the server lists is no set of refs: " + clean(err.Error())}
	}
	return m, omitted.String(), nil
}
