package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/sidefile"
	"farshore/agent/vault"
)

// damagedFile is the file of local state with what the reports say is damaged, damagedLock its lock; maxDamagedFile the most bytes of it that are read.
const (
	damagedFile    = "damaged.json"
	damagedLock    = "damaged.lock"
	maxDamagedFile = 8 << 20
)

// damagedNote is what the reports said when they were read last.
type damagedNote struct {
	Farshore string `json:"farshore"`
	Version  int    `json:"version"`
	Vault    string `json:"vault"`
	// Reports is the SHA-256 over the names and sizes of what lay below reports/ then.
	Reports record.Hash   `json:"reports"`
	Damaged []record.Hash `json:"damaged"`
}

// knownDamaged returns the packs and pages that the vault's audits know to be damaged. The reports, of which there may be thousands, are read when there are others than the last
// time. Beside an error it returns what was known then.
func knownDamaged(ctx context.Context, v *vault.Vault, dir string) (map[record.Hash]bool, error) {
	note := readDamagedNote(dir, v.ID())
	now, err := listReports(ctx, v)
	if err != nil {
		return note.set(), err
	}
	if now == note.Reports {
		return note.set(), nil
	}
	shelf, err := report.Read(ctx, v)
	if err != nil {
		return note.set(), err
	}
	note = damagedNote{Farshore: "damaged", Version: 1, Vault: v.ID(), Reports: now}
	for name := range shelf.Damaged() {
		note.Damaged = append(note.Damaged, name)
	}
	// The note saves requests: that it can't be written costs no more than those.
	_ = note.write(ctx, dir)
	return note.set(), nil
}

// listReports is the SHA-256 over what lies below reports/.
func listReports(ctx context.Context, v *vault.Vault) (record.Hash, error) {
	h := sha256.New()
	for info, err := range v.Bucket().List(ctx, "reports/", "") {
		if err != nil {
			return record.Hash{}, err
		}
		if !record.IsCanary(info.Name) {
			fmt.Fprintf(h, "%q %d\n", info.Name, info.Size)
		}
	}
	return record.Hash(h.Sum(nil)), nil
}

func (n *damagedNote) set() map[record.Hash]bool {
	out := make(map[record.Hash]bool, len(n.Damaged))
	for _, name := range n.Damaged {
		out[name] = true
	}
	return out
}

// readDamagedNote reads the note; one that is not there, not whole, or of another vault is empty.
func readDamagedNote(dir, vaultID string) damagedNote {
	data, err := sidefile.Read(filepath.Join(dir, damagedFile), maxDamagedFile)
	if err != nil {
		return damagedNote{}
	}
	var n damagedNote
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&n); err != nil || n.Farshore != "damaged" || n.Version != 1 || n.Vault != vaultID {
		return damagedNote{}
	}
	return n
}

// write replaces the note as a whole, one run after the other.
func (n *damagedNote) write(ctx context.Context, dir string) error {
	data, err := json.Marshal(n)
	if err != nil || len(data) > maxDamagedFile {
		return err
	}
	unlock, err := sidefile.Lock(ctx, filepath.Join(dir, damagedLock))
	if err != nil {
		return err
	}
	defer unlock()
	return sidefile.Replace(filepath.Join(dir, damagedFile), data, 0o600)
}

// readBackOf is how much the configuration wants to be read back.
func readBackOf(c *config.Config) vault.ReadBack {
	share, auto := c.ReadBackShare()
	if auto {
		return vault.AutoReadBack()
	}
	return vault.ReadBack{Share: share}
}
