// Package local reads git repositories on disk with the git program, and never writes to them. What walks and copies objects runs in a scratch git directory
// of its own that borrows the repository's objects, so that neither its configuration nor its hooks, grafts or replacements decide what is captured. Only the
// refs are read in the repository itself.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/refs"
	"farshore/agent/repo/tempdir"
	"farshore/agent/source"
)

// Options say what is captured of a repository.
type Options struct {
	// Reflogs adds what only reflogs and the heads of linked working trees keep, older stashes among it: a ref refs/farshore/reflog/<object id> in the manifest
	// for each object that they name, no ref points to and is still there; and the folder logs among the sidecars.
	Reflogs bool
	// Root is the folder of repositories that this one may share files with: object directories that it borrows from, and large files, lie in it or in the
	// repository itself. What points elsewhere is refused, as it may be another's. Empty: nothing is shared.
	Root string
}

// Repository is a git repository on disk that is being read. Its methods may be called concurrently, Close last.
type Repository struct {
	dir        string
	options    Options
	root       *os.Root
	scratch    *tempdir.Dir
	git        *gitcmd.Git // in it, with the repository's objects
	real       *gitcmd.Git // in the repository
	format     string
	config     map[string]string
	promisor   bool
	alternates []string
	inside     []string      // real paths of what files may lie in
	refsTime   time.Duration // how long git may take to say what there is

	mu             sync.Mutex
	last           *refs.Manifest // of the last Refs
	omittedRefs    []string
	lost           []refs.Ref
	omittedSidecar []string
	looked         bool // at the loose objects
}

// scratchConfig is the configuration under which objects are read; the object format is to be filled in. A commit graph may be stale; history is what the
// commits say. The memory of git is bounded: what is larger than a window's share goes through as a stream. Whoever stores the pack compresses it again, so git
// need not do that well.
const scratchConfig = `[core]
	repositoryFormatVersion = 1
	bare = true
	commitGraph = false
	bigFileThreshold = 16m
	packedGitLimit = 512m
	deltaBaseCacheLimit = 64m
[extensions]
	objectFormat = %s
[pack]
	threads = 2
	windowMemory = 64m
	deltaCacheSize = 64m
	compression = 1
`

// Open opens the git directory dir. Failures: source.ErrGone where there is no such directory; *source.Unreadable where it can't be captured, with what to
// do; gitcmd.ErrMissing wrapped where git can't be run, ErrScratch where no temporary directory can be made. The caller closes it.
func Open(ctx context.Context, dir string, o Options) (*Repository, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Repository{dir: dir, options: o, real: &gitcmd.Git{Dir: dir}, refsTime: refsTime}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Repository) open(ctx context.Context) (err error) {
	if r.root, err = os.OpenRoot(r.dir); err != nil {
		return r.access(err)
	}
	if err = r.checkShape(); err != nil {
		return err
	}
	if r.scratch, err = tempdir.New("", "farshore-git-"); err != nil {
		return noScratch(err)
	}
	if err = r.readConfig(ctx); err != nil {
		return err
	}
	if err = r.findAlternates(); err != nil {
		return err
	}
	return r.prepare()
}

// prepare makes the scratch git directory: the least that git takes for one. It is done by hand, since a fleet of repositories is opened in each pass.
func (r *Repository) prepare() error {
	dir := filepath.Join(r.scratch.Path, "git")
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "refs"), 0o700),
		os.WriteFile(filepath.Join(dir, "HEAD"), []byte("ref: refs/heads/none\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "config"), fmt.Appendf(nil, scratchConfig, r.format), 0o600),
	)
	if err != nil {
		return noScratch(err)
	}
	r.git = &gitcmd.Git{Dir: dir, Objects: r.objects()}
	return nil
}

// ErrScratch says that no scratch directory can be made: no repository can be read before that is put right.
var ErrScratch = errors.New("no scratch directory can be made on this machine")

func noScratch(err error) error {
	return fmt.Errorf("%w: %w: make room in the temporary directory, or set TMPDIR to one that can be written to, and run the pass again", ErrScratch, err)
}

func (r *Repository) objects() string { return filepath.Join(r.dir, "objects") }

// Close removes the scratch directory. Streams that Pack returned must be closed before. It may be called more than once.
func (r *Repository) Close() error {
	var err error
	if r.scratch != nil {
		err = r.scratch.Close()
		r.scratch = nil
	}
	if r.root != nil {
		err = errors.Join(err, r.root.Close())
	}
	return err
}

// Alternates returns the absolute object directories, without symbolic links, that the repository borrows objects from, directly or through another, in the
// order in which git follows them. The caller must not change the slice.
func (r *Repository) Alternates() []string { return r.alternates }

// Omitted says after Refs and Sidecars what they left out, a line each: "what: why". It is empty, or ends with a line feed.
func (r *Repository) Omitted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := ""
	for _, line := range append(append([]string{}, r.omittedRefs...), r.omittedSidecar...) {
		text += line + "\n"
	}
	return text
}

// access turns an error of the file system into what the agent is to know.
func (r *Repository) access(err error) error {
	var known *source.Unreadable
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		if _, err := os.Stat(r.dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s: %w", r.dir, source.ErrGone)
		}
		return broken("%s is no git directory: %v", r.dir, err)
	case errors.Is(err, fs.ErrPermission):
		return &source.Unreadable{Reason: record.ReasonDenied, Detail: fmt.Sprintf("%v: give the agent's user the right to read it", err)}
	}
	return &source.Unreadable{Reason: record.ReasonOther, Detail: err.Error()}
}

// gone says that a file is no longer there, or a folder now where it was, or the other way round.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}

func unsupported(format string, args ...any) *source.Unreadable {
	return &source.Unreadable{Reason: record.ReasonUnsupported, Detail: fmt.Sprintf(format, args...)}
}

func broken(format string, args ...any) *source.Unreadable {
	return &source.Unreadable{Reason: record.ReasonBroken, Detail: fmt.Sprintf(format, args...)}
}
