package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"farshore/agent/record"
	"farshore/agent/sidefile"
	"farshore/agent/vault"
)

// Files in the directory of local state, and their bounds.
const (
	seenFile = "seen.json"
	// seenLock is never removed: whoever removed it could leave two processes with locks on two files.
	seenLock = "seen.lock"
	// maxSeenFile is the most bytes of the file; a mark takes about 170.
	maxSeenFile = 8 << 20
	// maxSeenMarks is the most marks that are kept of one vault.
	maxSeenMarks = 20_000
)

// seenMark is the newest commit of a chain that was seen here.
type seenMark struct {
	Seq  int64       `json:"seq"`
	Hash record.Hash `json:"hash"`
	// Source is the source's name, where it could be read: it tells whom it concerns when the chain is gone.
	Source string `json:"source,omitempty"`
}

// seenMarks are the marks of all vaults that were read with this state: by vault, then by chain.
type seenMarks struct {
	Farshore string                         `json:"farshore"`
	Version  int                            `json:"version"`
	Vaults   map[string]map[string]seenMark `json:"vaults"`
}

// errSeenDamaged says that the file is not what this program writes.
var errSeenDamaged = errors.New("it is damaged")

// errSeenNewer says that a newer version wrote the file: it is left as it is.
var errSeenNewer = errors.New("a newer farshore wrote it")

func newSeenMarks() *seenMarks {
	return &seenMarks{Farshore: "seen", Version: 1, Vaults: map[string]map[string]seenMark{}}
}

// readSeen reads the marks; a file that is not there has none. Errors are errSeenDamaged, errSeenNewer, and those of the file system.
func readSeen(dir string) (*seenMarks, error) {
	f, err := os.OpenFile(filepath.Join(dir, seenFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return newSeenMarks(), nil
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSeenFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return parseSeen(data)
}

func parseSeen(data []byte) (*seenMarks, error) {
	m := new(seenMarks)
	dec := json.NewDecoder(bytes.NewReader(data))
	err := dec.Decode(m)
	switch {
	case len(data) > maxSeenFile:
		return nil, fmt.Errorf("%w: more than %d bytes", errSeenDamaged, maxSeenFile)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errSeenDamaged, err)
	case m.Farshore == "seen" && m.Version > 1:
		return nil, fmt.Errorf("%w: it is of version %d", errSeenNewer, m.Version)
	case m.Farshore != "seen" || m.Version != 1 || m.Vaults == nil:
		return nil, fmt.Errorf("%w: it does not say that it is a file of marks", errSeenDamaged)
	}
	if rest := bytes.TrimSpace(data[dec.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%w: something follows its end", errSeenDamaged)
	}
	return m, m.check()
}

// check refuses marks that this program does not write.
func (m *seenMarks) check() error {
	for id, chains := range m.Vaults {
		if _, err := record.ParseHash(id); err != nil {
			return fmt.Errorf("%w: %.80q is no vault's id", errSeenDamaged, id)
		}
		for chain, k := range chains {
			if _, _, err := record.ParseCommitName("commits/" + chain + "/0000000001"); err != nil || k.Seq < 1 || k.Hash.IsZero() {
				return fmt.Errorf("%w: %.80q has no number and hash, or is no chain's id", errSeenDamaged, chain)
			}
		}
	}
	return nil
}

// of returns the marks of a vault as the vault's reader takes them.
func (m *seenMarks) of(vaultID string) (out []vault.Seen) {
	for _, chain := range sortedKeys(m.Vaults[vaultID]) {
		k := m.Vaults[vaultID][chain]
		out = append(out, vault.Seen{Chain: chain, Seq: k.Seq, Hash: k.Hash})
	}
	return out
}

// only returns the vault that the marks are of, where they are of one.
func (m *seenMarks) only() string {
	if ids := sortedKeys(m.Vaults); len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// raise takes over those marks that are higher than the known ones, and reports whether any was. It never lowers or replaces one.
func (m *seenMarks) raise(vaultID string, marks map[string]seenMark) (changed bool, err error) {
	known := m.Vaults[vaultID]
	if known == nil {
		known = map[string]seenMark{}
	}
	for chain, k := range marks {
		old, there := known[chain]
		switch {
		case !there && len(known) >= maxSeenMarks:
			err = fmt.Errorf("the vault has more than %d chains: not all are remembered", maxSeenMarks)
			continue
		case there && (old.Seq > k.Seq || old.Seq == k.Seq && (old.Hash != k.Hash || k.Source == "" || k.Source == old.Source)):
			continue
		}
		if k.Source == "" {
			k.Source = old.Source
		}
		known[chain], changed = k, true
	}
	if changed {
		m.Vaults[vaultID] = known
	}
	return changed, err
}

// raiseSeen raises the marks of a vault in the file, alone: whoever else does it at the same time waits, and nothing of either is lost. damaged is told where a damaged file
// was kept before a new one is begun.
func raiseSeen(ctx context.Context, dir, vaultID string, marks map[string]seenMark, damaged func(why error, kept string)) error {
	unlock, err := sidefile.Lock(ctx, filepath.Join(dir, seenLock))
	if err != nil {
		return err
	}
	defer unlock()
	m, err := readSeen(dir)
	if errors.Is(err, errSeenDamaged) {
		kept, kerr := keepAside(dir)
		if kerr != nil {
			return fmt.Errorf("%w, and can't be put aside: %w", err, kerr)
		}
		damaged(err, kept)
		m, err = newSeenMarks(), nil
	}
	if err != nil {
		return err
	}
	changed, full := m.raise(vaultID, marks)
	if !changed {
		return full
	}
	return errors.Join(full, writeSeen(dir, m))
}

// keepAside renames a damaged file, to a name that nothing has.
func keepAside(dir string) (string, error) {
	from := filepath.Join(dir, seenFile)
	for i := 1; i <= 1000; i++ {
		to := fmt.Sprintf("%s.damaged-%d", from, i)
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return to, os.Rename(from, to)
	}
	return "", fmt.Errorf("a thousand damaged files lie in %s", dir)
}

// writeSeen replaces the file in one step: a power cut leaves the old one or the new one.
func writeSeen(dir string, m *seenMarks) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if len(data) > maxSeenFile {
		return fmt.Errorf("the marks take more than %d bytes: not all are remembered", maxSeenFile)
	}
	return sidefile.Replace(filepath.Join(dir, seenFile), append(data, '\n'), 0o600)
}
