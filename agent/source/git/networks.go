package git

import (
	"strings"

	"farshore/agent/repo/refs"
)

// networks finds the repositories that have much of their history in common: forks, and copies. The first of them in order of paths leads; the others
// are captured as what differs from it. Keys are the forge's names, object directories, and hashes of tips; values the repository that has them first.
//
// Nothing depends on a network being found or being right: what a fork does not share with its leader is captured with it.
type networks map[string]*repository

const (
	keyName    = "name:"
	keyObjects = "objects:"
	keyTip     = "tip:"
)

// join returns the leader of the repository's network, nil when it has none yet and is remembered as one.
func (n networks) join(r *repository) *repository {
	if !r.seen.ok || r.seen.count == 0 {
		return nil
	}
	leader := n.find(r)
	lead := r
	if leader != nil {
		lead = leader
	}
	for _, key := range keys(r) {
		if n[key] == nil {
			n[key] = lead
		}
	}
	return leader
}

// keys are what other repositories may find this one by.
func keys(r *repository) (list []string) {
	if r.name != "" {
		list = append(list, keyName+r.name)
	}
	if r.parent != "" {
		list = append(list, keyName+r.parent)
	}
	for _, dir := range r.seen.shares {
		list = append(list, keyObjects+dir)
	}
	for _, tip := range strings.Split(r.seen.sketch, ",") {
		list = append(list, keyTip+tip)
	}
	return list
}

// find looks for a leader whose objects are named alike.
func (n networks) find(r *repository) *repository {
	tried := map[*repository]bool{}
	for _, key := range keys(r) {
		l := n[key]
		if l == nil || tried[l] || l.seen.format != r.seen.format {
			continue
		}
		tried[l] = true
		if !strings.HasPrefix(key, keyTip) || alike(l.seen.sketch, r.seen.sketch) {
			return l
		}
	}
	return nil
}

// alike reports whether two sketches have enough tips in common: two, or one where either has fewer than four, since a repository with few tips has few to
// share.
func alike(a, b string) bool {
	enough := 2
	if strings.Count(a, ",") < 3 || strings.Count(b, ",") < 3 {
		enough = 1
	}
	return refs.Similar(a, b) >= enough
}

// without forgets the repositories for which gone is true.
func (n networks) without(gone func(*repository) bool) {
	for key, r := range n {
		if gone(r) {
			delete(n, key)
		}
	}
}
