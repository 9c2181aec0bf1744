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
	"time"

	"golang.org/x/sys/unix"

	"farshore/agent/record"
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
	// seenWait is how long one process waits for another, which holds the lock while it writes a small file.
	seenWait = 5 * time.Second
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
	unlock, err := lockSeen(ctx, dir)
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

// lockSeen takes the lock of the file. It ends with the process, however that ends.
func lockSeen(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, seenLock), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, seenWait)
	defer cancel()
	const pause = 20 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			sameOwner(f, dir)
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process has held %s for %s: %w", f.Name(), seenWait, ctx.Err()), f.Close())
		}
	}
}

// sameOwner gives a file to the owner of its directory, so that what root reads does not keep the agent's own user from it. Where that can't be done it
// stays with whoever made it, and the other user is told so when it can't read it.
func sameOwner(f *os.File, dir string) {
	var st unix.Stat_t
	if os.Geteuid() == 0 && unix.Stat(dir, &st) == nil {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
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
	fresh := filepath.Join(dir, seenFile+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeFresh(fresh, dir, append(data, '\n')); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, filepath.Join(dir, seenFile)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil // a file system that can't sync a directory
	}
	return errors.Join(err, d.Close())
}

func writeFresh(path, dir string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sameOwner(f, dir)
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
