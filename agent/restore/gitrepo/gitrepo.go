// Package gitrepo makes real git repositories out of records: bare or for a working copy, as a bundle, or pushed to a server. It also holds a repository
// against the record that it was made from.
//
// A repository is built beside its place under a temporary name, and gets its own in one step when everything is there and on the disk. Git itself
// checks each object; the packs, ids, refs and HEAD are held against what the capture noted. Nothing of a restored configuration or hook takes
// effect while the package works, and it does so afterwards only where the caller asked for that.
package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/refs"
	"farshore/agent/repo/tempdir"
	"farshore/agent/restore/internal/workplace"
)

// Parts gives the bytes of parts: a *vault.Reader. Copy returns nil only when w received all of the part's bytes, as they were stored. It must be safe for
// concurrent use.
type Parts interface {
	Copy(ctx context.Context, w io.Writer, p *record.Part) error
}

// Set are the records of one path. Each must be the good one: where a record is unreadable, its last good one with the path filled in.
type Set struct {
	Git     *record.Record
	LFS     *record.Record // may be nil
	Sidecar *record.Record // may be nil
}

// Options say how a repository is built.
type Options struct {
	// Hooks puts the captured configuration, hooks and info files in place, with their modes. Without it they lie in the folder farshore-sidecar, where git
	// looks at none of them.
	Hooks bool
	// AsStored leaves packs as the vault has them: large, since nothing in them is deflated, and with objects that only other repositories of a fork network
	// reach. It is for repositories that are checked and removed.
	AsStored bool
}

// Report is what a repository was built of.
type Report struct {
	Objects     int64 // in the packs, as the capture counted them
	Refs        int
	Packs       int
	LFS         int
	LFSBytes    int64
	Sidecars    int // files and links
	SidecarsOff int // those of them that lie in farshore-sidecar and have no effect
	Damaged     int // of the problems: large files and sidecars that the vault no longer has as they were
	// Problems say what is not there as it was captured, though the repository as such is whole; at most MaxProblems.
	Problems []string
}

// MaxProblems bounds the lists of problems that this package returns. The last line then says how many there were.
const MaxProblems = 200

// ErrExists says that something has the name that the repository was to get.
var ErrExists = workplace.ErrExists

// Build makes the repository of the set in dir, which must not exist; folders above it are made. On failure nothing is left there. An error is a *PartError when
// a part is missing or does not fit the others, ErrExists (wrapped), the context's error, or a failure of the file system or the git program. What
// an interrupted Build of the same dir left is removed.
func Build(ctx context.Context, parts Parts, set Set, dir string, o Options) (*Report, error) {
	w, err := workplace.Open(dir)
	if err != nil {
		return nil, err
	}
	b := &builder{parts: parts, set: set, dir: w.Path, o: o}
	err = b.build(ctx)
	if err == nil {
		err = workplace.SyncTree(w.Path)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.Publish()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	b.report.Problems = b.problems.list()
	return &b.report, nil
}

// builder is one call of Build. Not safe for concurrent use.
type builder struct {
	parts    Parts
	set      Set
	dir      string // where it is made
	o        Options
	git      *repo
	manifest *refs.Manifest
	report   Report
	problems problems
}

func (b *builder) build(ctx context.Context) (err error) {
	if b.manifest, err = readManifest(ctx, b.parts, b.set.Git); err != nil {
		return err
	}
	if b.git, err = initialise(ctx, b.dir, b.manifest.Format); err != nil {
		return err
	}
	steps := []func(context.Context) error{b.packs, b.refs, b.connected, b.alone, b.bare, b.lfs, b.sidecars}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// repo is a repository whose object format is known.
type repo struct {
	*gitcmd.Git
	format string
}

// idSize is the number of an object id's bytes.
func (r *repo) idSize() int {
	if r.format == refs.SHA256 {
		return 32
	}
	return 20
}

// initialise makes an empty repository in which git leaves making things durable to us: that is done once, for all, at the end.
func initialise(ctx context.Context, dir, format string) (*repo, error) {
	g, err := gitcmd.Init(ctx, dir, format)
	if err != nil {
		return nil, err
	}
	g.Env = settings([2]string{"core.fsync", "none"})
	return &repo{g, format}, nil
}

// packs puts all packs in, in the order of the chain.
func (b *builder) packs(ctx context.Context) error {
	chain := packParts(b.set.Git)
	for i, p := range chain {
		facts, err := addPack(ctx, b.git, b.parts, p, i == 0, b.o.AsStored)
		if err == nil {
			err = facts.check(p)
		}
		if err != nil {
			return failed(ctx, b.set.Git, packName(p, i, len(chain)), err)
		}
		b.report.Objects += facts.objects
	}
	b.report.Packs = len(chain)
	return nil
}

// refs writes refs and HEAD, and reads them back as git sees them.
func (b *builder) refs(ctx context.Context) error {
	if err := putRefs(ctx, b.git, b.manifest); err != nil {
		return failed(ctx, b.set.Git, "refs", err)
	}
	b.report.Refs = len(b.manifest.Refs)
	return nil
}

// bare tells git whether files stand beside the repository.
func (b *builder) bare(ctx context.Context) error {
	path := b.set.Git.Path
	if path != ".git" && !strings.HasSuffix(path, "/.git") {
		return nil
	}
	return b.git.Run(ctx, nil, io.Discard, "config", "--file", filepath.Join(b.dir, "config"), "core.bare", "false")
}

// problems collects lines, not more than MaxProblems.
type problems struct {
	lines []string
	count int
}

func (p *problems) add(format string, args ...any) {
	p.count++
	if len(p.lines) < MaxProblems-1 {
		p.lines = append(p.lines, fmt.Sprintf(format, args...))
	}
}

func (p *problems) list() []string {
	if p.count > len(p.lines) {
		return append(p.lines, fmt.Sprintf("and %d more", p.count-len(p.lines)))
	}
	return p.lines
}

// scratch makes an empty repository in a new folder below parent ("": the system's temporary one), and returns what removes it. Objects, where it is not
// empty, is a repository's folder of objects: they can be read, and nothing else of that repository has a say.
func scratch(ctx context.Context, parent, format, objects string) (*repo, func() error, error) {
	dir, err := tempdir.New(parent, "farshore-scratch-")
	if err != nil {
		return nil, nil, err
	}
	g, err := initialise(ctx, dir.Path, format)
	if err != nil {
		return nil, nil, errors.Join(err, dir.Close())
	}
	g.Objects = objects
	return g, dir.Close, nil
}

// settings returns the environment that adds git settings, key and value each, to those of gitcmd.
func settings(add ...[2]string) []string {
	n := 0
	for _, e := range gitcmd.Environment() {
		if v, ok := strings.CutPrefix(e, "GIT_CONFIG_COUNT="); ok {
			if _, err := fmt.Sscan(v, &n); err != nil {
				n = 0
			}
		}
	}
	var env []string
	for i, s := range add {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n+i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n+i, s[1]))
	}
	return append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", n+len(add)))
}
