package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"farshore/agent/repo/process"
)

// maxFsck bounds the bytes of a baseline.
const maxFsck = 64 << 10

// Fsck returns what git fsck says of the objects: lines, sorted, without notices; nothing for a sound repository. It checks all objects, also those of
// alternates, and that everything which the refs of the last Refs reach is there. More than 64 KiB are cut off, and the last line says so: "~ … more lines".
// Git's configuration can't silence it. damage is a line of them, and how many there are, that says that objects are missing or are not what their names say;
// empty where git only finds fault with what objects have.
func (r *Repository) Fsck(ctx context.Context) (said []byte, damage string, err error) {
	if err := r.checkShares(); err != nil {
		return nil, "", err
	}
	if err := r.shadowRefs(ctx); err != nil {
		return nil, "", err
	}
	raw, err := r.runFsck(ctx)
	if err != nil {
		return nil, "", err
	}
	lines := findings(raw)
	return baseline(lines), damaged(lines), nil
}

// shadowRefs gives the scratch directory refs to all tips, for fsck to begin from.
func (r *Repository) shadowRefs(ctx context.Context) error {
	r.mu.Lock()
	m := r.last
	r.mu.Unlock()
	if m == nil {
		var err error
		if m, err = r.Refs(ctx); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	for i, oid := range m.Tips() {
		fmt.Fprintf(&b, "%s refs/tips/%08d\n", oid, i)
	}
	return os.WriteFile(filepath.Join(r.git.Dir, "packed-refs"), b.Bytes(), 0o600)
}

// runFsck returns what git fsck prints. Its findings go to both of its outputs, so both are kept.
func (r *Repository) runFsck(ctx context.Context) ([]byte, error) {
	args := []string{"fsck", "--full", "--no-dangling", "--no-reflogs", "--no-progress"}
	var out, said limited
	git := *r.git
	git.Stderr = &said
	err := git.Run(ctx, nil, &out, args...)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 0 || fatal(said.b) || process.Machine(err)):
		return nil, r.failure(err)
	}
	return append(out.b, said.b...), nil
}

// fatal reports whether fsck gave up.
func fatal(said []byte) bool {
	return bytes.Contains(append([]byte("\n"), said...), []byte("\nfatal: "))
}

// findings are what fsck said, sorted. A line that begins with white space belongs to the one before it.
func findings(said []byte) []string {
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(said), "?")) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "" || strings.HasPrefix(line, "notice: "):
		case strings.HasPrefix(line, " ") && len(lines) > 0:
			lines[len(lines)-1] += " " + strings.TrimSpace(line)
		default:
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// damages are what git fsck says of objects that are not there or not what they should be, in lower case.
var damages = [...]string{"mismatch", "missing blob", "missing tree", "missing commit", "missing tag", "missing object", "corrupt", "broken link", "unable to read",
	"unable to unpack", "unable to parse", "cannot unpack", "could not be parsed", "inflate:", "is empty", "garbage at end", "bad object", "invalid sha1 pointer"}

// damaged returns the first finding of damage, with the number of all.
func damaged(lines []string) string {
	first, n := "", 0
	for _, line := range lines {
		low := strings.ToLower(line)
		if strings.HasPrefix(low, "error in ") || strings.HasPrefix(low, "warning in ") { // about what an object has
			continue
		}
		if !slices.ContainsFunc(damages[:], func(d string) bool { return strings.Contains(low, d) }) {
			continue
		}
		if n++; first == "" {
			first = line
		}
	}
	if n > 1 {
		first = fmt.Sprintf("%s, and %d more", first, n-1)
	}
	return first
}

// baseline is as many findings as there is room for.
func baseline(lines []string) (b []byte) {
	for i, line := range lines {
		if len(b)+len(line) > maxFsck-100 {
			return fmt.Appendf(b, "~ %d more lines\n", len(lines)-i)
		}
		b = append(append(b, line...), '\n')
	}
	return b
}

// limited keeps the beginning of what is written to it.
type limited struct{ b []byte }

const maxFsckRead = 16 << 20

// Write keeps p while there is room.
func (l *limited) Write(p []byte) (int, error) {
	if len(l.b)+len(p) <= maxFsckRead {
		l.b = append(l.b, p...)
	}
	return len(p), nil
}
