package verify

import (
	"context"
	"crypto/sha256"
	"fmt"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// extra counts the versions beside the right one and the markers of a name, and adds what is said of them.
func (r *run) extra(n *providers.Name, findings []vault.Finding) {
	for _, f := range findings {
		r.add(f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored.set(n.Name, told)
	r.res.ExtraVersions += int64(max(0, n.Versions-1))
	r.res.Markers += int64(n.Markers)
}

// inventory lists the versions and markers of the names outside packs/ and meta/. It is for stores that show them.
func (r *run) inventory(ctx context.Context) error {
	if r.res.Versions != providers.SightSeen {
		return nil
	}
	for _, room := range []string{"vault/", "commits/", "reports/"} {
		for n, err := range r.v.Bucket().Names(ctx, room, "") {
			if err != nil {
				return err
			}
			if n.Plain() || record.IsCanary(n.Name) {
				continue
			}
			findings, err := r.overlaid(ctx, &n)
			if err != nil {
				return err
			}
			r.extra(&n, findings)
		}
	}
	return nil
}

// overlaid says what lies beside the right version of a name. A statement's has the hash in its name, a commit's is the one that its chain has, and of what no
// chain has, and of a report, the oldest is taken for it: who signed it is not looked at here.
func (r *run) overlaid(ctx context.Context, n *providers.Name) ([]vault.Finding, error) {
	_, hash, err := record.ParseStatementName(n.Name)
	known := err == nil
	if !known {
		hash, known = r.commits[n.Name]
	}
	if !known && (n.Versions < 2 || n.Size > providers.MaxObject) {
		return vault.Layers(n, n.ID), nil
	}
	if !known {
		oldest, err := r.v.Bucket().ReadVersion(ctx, n.Name, n.ID, providers.MaxObject)
		if kind := providers.KindOf(err); kind == providers.NotFound || kind == providers.Corrupt || err != nil && r.v.Withheld(ctx, err) {
			return []vault.Finding{{Severity: vault.Tampering, Object: n.Name, Text: fmt.Sprintf("%d versions and %d delete markers lie there, and the oldest can't be read: %v", n.Versions, n.Markers, err)}}, nil
		}
		if err != nil {
			return nil, err
		}
		hash = sha256.Sum256(oldest)
	}
	s, err := r.v.Search(ctx, n, hash)
	if s.Right != nil {
		err = nil
	}
	return s.Findings, err
}

// sightings adds what reading noticed and the inventory did not: what was overwritten or hidden while it was under way.
func (r *run) sightings() {
	for _, f := range r.v.Sightings() {
		r.mu.Lock()
		is := r.stored.get(f.Object).is
		r.mu.Unlock()
		if is&told == 0 {
			r.add(f)
		}
	}
}
