// Package fileprobe tries, on canaries only, what a thief would do to a vault in a directory: write over a file, add to it, put another in its place, move and
// remove it, and change its mode. Mostly all of it is permitted, and the report should say so.
//
// Each probe works on a file that the run itself has made in a room's canary/ folder. Names are taken below the vault's directory, which nothing can leave (os.Root),
// and a folder or file in the path that is a symbolic link, or a file with a second name, is refused: it could be an object's.
package fileprobe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers"
	"farshore/providers/file"
)

// Attacker tries at a vault in a directory. It is not for concurrent use.
type Attacker struct {
	driver *file.Driver
	root   *os.Root
}

var _ probe.Attacker = (*Attacker)(nil)

// New returns the attacker for file:///directory, which must exist. The caller closes it.
func New(rawURL string) (*Attacker, error) {
	d, err := file.Open(rawURL)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(d.Traits().Place)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	root, err := os.OpenRoot(filepath.FromSlash(u.Path))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the vault's directory for the probe: %w", err), d.Close())
	}
	return &Attacker{driver: d, root: root}, nil
}

// Close frees the directory.
func (a *Attacker) Close() error { return errors.Join(a.driver.Close(), a.root.Close()) }

// Principal is the user that the process runs as.
func (a *Attacker) Principal(context.Context) (string, error) {
	return fmt.Sprintf("uid %d of this machine", os.Geteuid()), nil
}

// Create writes a canary as the agent writes an object.
func (a *Attacker) Create(ctx context.Context, name string, body []byte) (string, probe.Result) {
	if _, err := a.target(name); err != nil {
		return "", refused(err)
	}
	section := io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
	_, err := a.driver.Create(ctx, name, section, sha256.Sum256(body))
	return "", answer(err)
}

// Notes say what modes and attributes can't show.
func (a *Attacker) Notes() []string {
	notes := []string{
		"a directory of this machine: whoever runs as this user, and every administrator of the machine, can remove everything in it",
		"modes and attributes belong to each file and folder: the probe saw those of the canary/ folders, and others may differ",
	}
	if os.Geteuid() == 0 {
		notes = append(notes, "this process runs as root, for whom modes don't count")
	}
	return notes
}

// Bucket returns what nobody can try on canaries: rights belong to each folder, so that those of canary/ prove nothing about the others. No directory is ever protected.
func (a *Attacker) Bucket() []probe.BucketProbe {
	return []probe.BucketProbe{{
		Kind: probe.Kind{Probe: "other folders", Property: probe.NoDestroy, Harm: probe.Destroys, Grant: grantFolder},
		Try: func(context.Context) probe.Result {
			return probe.Result{Answer: probe.Unknown, Code: "not tried", Text: "modes and attributes belong to each file and folder: what is denied in canary/ may be permitted in another one"}
		},
	}}
}

// target is where every name that is used comes from. It refuses what is no canary's name, and what could lead to something else: a symbolic link on the way, or a file that
// has another name too.
func (a *Attacker) target(name string) (string, error) {
	if !record.IsCanary(name) {
		return "", fmt.Errorf("%q is not a canary's name, and the probe touches nothing else", name)
	}
	folder := path.Dir(name)
	for _, dir := range []string{path.Dir(folder), folder} {
		info, err := a.root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		if !info.IsDir() {
			return "", fmt.Errorf("%s is not a folder, so the canary %s could be something else", dir, path.Base(name))
		}
	}
	info, err := a.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return name, nil
	}
	if err != nil {
		return "", err
	}
	return name, alone(name, info)
}

// alone refuses a file that is more than one canary.
func alone(name string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return fmt.Errorf("the canary %s has %d names, and one of them could be an object's", name, stat.Nlink)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the canary %s is not a regular file", name)
	}
	return nil
}

// other makes a second canary beside the first, as the source or the target of a move, and returns its name.
func (a *Attacker) other(ctx context.Context, name string) (string, error) {
	second := path.Dir(name) + "/" + strings.ToLower(rand.Text())
	if _, r := a.Create(ctx, second, []byte(rand.Text())); r.Answer != probe.Permitted {
		return "", fmt.Errorf("a second canary could not be made: %s", r.Text)
	}
	return second, nil
}

// answer says what came back. Only refusals of the system for want of a right are denials.
func answer(err error) probe.Result {
	if err == nil {
		return probe.Result{Answer: probe.Permitted, Code: "done", Text: "the system did it"}
	}
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return probe.Result{Answer: probe.Unknown, Code: providers.KindOf(err).String(), Text: err.Error()}
	}
	r := probe.Result{Answer: probe.Unknown, Code: unix.ErrnoName(errno), Text: err.Error()}
	switch errno {
	case unix.EACCES, unix.EPERM, unix.EROFS:
		r.Answer = probe.Denied
	}
	return r
}

// refused is the result of a probe that was not made.
func refused(err error) probe.Result {
	return probe.Result{Answer: probe.Unknown, Code: "not tried", Text: err.Error()}
}
