package report

import (
	"reflect"
	"strconv"
	"strings"
)

// member is one member of a JSON object, as the tags of its field have it: `json:"name,omitempty"` or omitzero for one that may be absent. `least:"-1"` is the least that an
// integer may be, in place of 0.
type member struct {
	name     string
	index    int
	optional bool
	least    int64
}

// membersOf lists the members of a struct type in the order in which they are written.
func membersOf(t reflect.Type) []member {
	out := make([]member, 0, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name, options, _ := strings.Cut(tag.Get("json"), ",")
		least, _ := strconv.ParseInt(tag.Get("least"), 10, 64)
		out = append(out, member{name, i, options != "", least})
	}
	return out
}

// shapes remembers the members of types: looking them up costs more than what is done with them. Not safe for concurrent use.
type shapes map[reflect.Type][]member

func (s shapes) of(t reflect.Type) []member {
	m, ok := s[t]
	if !ok {
		m = membersOf(t)
		s[t] = m
	}
	return m
}

// most returns how many elements the list of that name may have, in whatever type it stands, and how many bytes the string.
func most(name string) int {
	switch name {
	case "heads":
		return MaxHeads
	case "findings":
		return MaxFindings
	case "parts", "bounds":
		return 16
	case "sweeps":
		return MaxSweeps
	case "arcs":
		return MaxArcs
	case "positions":
		return MaxPositions
	case "sources":
		return MaxSources
	case "damaged":
		return MaxDamaged
	case "first", "names":
		return MaxRefs
	case "not_checked":
		return MaxNotChecked
	case "rules", "unknown", "changed", "suspicious":
		return 64
	case "items":
		return MaxNames
	case "sealed":
		return MaxSealed
	}
	return MaxText
}
