package agent

import (
	"fmt"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// damaged are the items of a snapshot in the making that rest on what is known to be damaged, and that this pass could not store anew.
type damaged struct {
	items int64
	path  string // of the first
}

// stayed counts an item that stays as it is although something below it is damaged. The lister and the writer both call it.
func (p *pass) stayed(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damaged.items++; p.damaged.items == 1 {
		p.damaged.path = path
	}
}

// notices says how many items there are.
func (d *damaged) notices(source record.Place) []vault.Finding {
	if d.items == 0 {
		return nil
	}
	return []vault.Finding{{
		Severity: vault.Notice, Object: source.Name,
		Text: fmt.Sprintf("%d of the snapshot's items rest on objects that are damaged, and could not be stored anew (excluded, gone, or not readable at the source); the first is %q. "+
			"`farshore verify` says what they need", d.items, d.path),
	}}
}

// readBack adds what a commit says.
func (s *Summary) readBack(k *record.ReadBack) {
	if k == nil {
		return
	}
	s.ReadBack.Items += k.Items
	s.ReadBack.Bytes += k.Bytes
	s.ReadBack.OfItems += k.OfItems
	s.ReadBack.OfBytes += k.OfBytes
}
