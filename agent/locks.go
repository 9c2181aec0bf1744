package agent

import (
	"fmt"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// fading are the items of a snapshot in the making that rest on objects whose locks end too soon, and that this pass could not store anew.
type fading struct {
	items int64
	path  string    // of the first to end
	end   time.Time // zero: not locked at all
}

// outlived counts an item that stays as it is although a lock below it ends too soon. The lister and the writer both call it.
func (p *pass) outlived(path string, end time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &p.fading
	if f.items++; f.items == 1 || end.Before(f.end) {
		f.path, f.end = path, end
	}
}

// notices says how many items there are and when the first lock ends.
func (f *fading) notices(source record.Place) []vault.Finding {
	if f.items == 0 {
		return nil
	}
	when := "has no lock that binds"
	if !f.end.IsZero() {
		when = "is locked only until " + record.FormatTime(f.end)
	}
	return []vault.Finding{{
		Severity: vault.Notice, Object: source.Name,
		Text: fmt.Sprintf("%d of the snapshot's items rest on objects whose locks end within min_lock_left, and can't be stored anew by a pass (repositories, and what is excluded or can't be read); the first is %q, of which something %s",
			f.items, f.path, when),
	}}
}
