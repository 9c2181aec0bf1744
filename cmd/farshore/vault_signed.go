package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"farshore/agent/record"
)

// signedSuffix names the file beside the owner's key that notes what it signed.
const signedSuffix = ".signed"

// maxSigned is the number of bytes that the notes have at most: some thousand statements.
const maxSigned = 1 << 20

// signedLog notes which statements an owner's key has signed: a line "<vault id> <NNNNNNNN>-<hash>" each. It holds no secret. Two different statements with one number
// would stop every reader of the vault, and a draft that follows an old statement would undo what came after: a machine without a store can know neither but from here.
type signedLog struct {
	path, vaultID string
	// names are those of this vault, by number.
	names map[int64][]string
}

// readSigned reads the notes of one vault. None yet is no error.
func readSigned(path, vaultID string) (*signedLog, error) {
	l := &signedLog{path, vaultID, map[int64][]string{}}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	data, err := readSmall("what the owner's key has signed", path, maxSigned)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		id, name, _ := strings.Cut(line, " ")
		n, _, err := record.ParseStatementName("vault/" + name)
		if _, herr := record.ParseHash(id); err != nil || herr != nil {
			return nil, fmt.Errorf("%s:%d: it is not a line that notes a signed statement: the file was damaged; move it away once you know what was signed and placed", path, i+1)
		}
		if id == vaultID {
			l.names[n] = append(l.names[n], name)
		}
	}
	return l, nil
}

// allows refuses a statement where another one with its number, or a later one, was signed.
func (l *signedLog) allows(n int64, name string) error {
	for _, m := range slices.Sorted(maps.Keys(l.names)) {
		for _, had := range l.names[m] {
			if m < n || had == name {
				continue
			}
			return usagef("this key has signed statement %d of this vault before, %s, and this draft is of statement %d: two with one number would stop every reader", m, had, n).
				with("if %s was placed, or may be, make a new draft from the vault as it is; if it never was and never will be, destroy it and add --instead", had)
		}
	}
	return nil
}

// add notes a statement, durably.
func (l *signedLog) add(name string) error {
	for _, names := range l.names {
		for _, had := range names {
			if had == name {
				return nil
			}
		}
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(l.vaultID + " " + name + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}
