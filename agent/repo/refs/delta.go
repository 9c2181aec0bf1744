package refs

import (
	"fmt"
	"slices"
	"strings"
)

// Diff returns what makes base into now, as lines: the header again if it changed, then the refs that are new or changed and those that are gone, sorted by
// name. It is empty when the two are equal.
func Diff(base, now *Manifest) []byte {
	var dst []byte
	if base.Format != now.Format || base.Head != now.Head || base.HeadOID != now.HeadOID {
		dst = now.appendHeader(dst)
	}
	old, cur := base.Refs, now.Refs
	for len(old) > 0 || len(cur) > 0 {
		order := compareFirst(old, cur)
		switch {
		case order < 0:
			dst = appendGone(dst, old[0].Name)
		case order > 0 || old[0] != cur[0]:
			dst = cur[0].appendLine(dst)
		}
		if order <= 0 {
			old = old[1:]
		}
		if order >= 0 {
			cur = cur[1:]
		}
	}
	return dst
}

// compareFirst says which of two sorted lists, of which one may be empty, has the lesser first name.
func compareFirst(a, b []Ref) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return strings.Compare(a[0].Name, b[0].Name)
}

// Apply returns base with the changes that Diff found. It refuses a delta that removes what base does not have: it belongs to another one. Neither base nor
// delta is changed or referred to.
func Apply(base *Manifest, delta []byte) (*Manifest, error) {
	m := *base
	if len(delta) == 0 {
		m.Refs = slices.Clone(base.Refs)
		return &m, nil
	}
	ls, err := newLines(delta)
	if err != nil {
		return nil, err
	}
	m.Refs = make([]Ref, 0, min(len(base.Refs)+ls.count, MaxRefs))
	if err := m.merge(base.Refs, ls); err != nil {
		return nil, ls.failed(err)
	}
	if m.Format != base.Format {
		return &m, m.Check() // what was left as it was has ids of the other format
	}
	if len(m.Refs) > MaxRefs {
		return nil, fmt.Errorf("refs: there are %d refs, more than %d", len(m.Refs), MaxRefs)
	}
	return &m, nil
}

// merge reads the delta's lines and puts what they change, and what is left of old, into the manifest.
func (m *Manifest) merge(old []Ref, ls *lines) error {
	for ls.more() {
		l, err := ls.next()
		if err != nil {
			return err
		}
		if ls.number == 1 && l.has&hasFormat != 0 {
			if err := m.setHeader(&l); err != nil {
				return err
			}
			continue
		}
		if err := ls.ref(&l, m.Format); err != nil {
			return err
		}
		n, found := slices.BinarySearchFunc(old, l.Name, func(r Ref, name string) int { return strings.Compare(r.Name, name) })
		m.Refs = append(m.Refs, old[:n]...)
		old = old[n:]
		if found {
			old = old[1:]
		}
		switch {
		case l.has&hasGone == 0:
			m.Refs = append(m.Refs, l.Ref)
		case !found:
			return fmt.Errorf("ref %q is to be removed and is not there: the change does not belong to this manifest", l.Name)
		}
	}
	m.Refs = append(m.Refs, old...)
	return nil
}

// Current returns the manifest that a full encoding and what changed since, which may be empty, stand for.
func Current(full, delta []byte) (*Manifest, error) {
	m, err := Decode(full)
	if err != nil || len(delta) == 0 {
		return m, err
	}
	return Apply(m, delta)
}
