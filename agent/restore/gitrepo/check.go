package gitrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/process"
	"farshore/agent/repo/refs"
	"farshore/agent/restore/internal/workplace"
)

// Check holds the repository in dir, as Build made it, against its records: refs and HEAD, the objects of each pack, git fsck, and the large files. It returns
// what is wrong, a line each and at most MaxProblems; none means that the repository is what was captured. An error says that it could not be checked.
//
// What git fsck says about the content of an object is no problem: its hash proves that it was so at the source. Neither is what git fsck said at the source
// already, where that is on record. The repository's own configuration has no say. Git works in a folder beside dir, which is removed.
func Check(ctx context.Context, parts Parts, set Set, dir string) (found []string, err error) {
	m, err := readManifest(ctx, parts, set.Git)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	c := &checker{parts: parts, set: set, dir: dir, manifest: m, theirs: openRepo(dir, m.Format)}
	ours, remove, err := scratch(ctx, filepath.Dir(dir), m.Format, objectsOf(dir))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	c.ours = ours
	err = c.run(ctx)
	return c.problems.list(), err
}

// openRepo takes a folder for a repository of the format.
func openRepo(dir, format string) *repo { return &repo{&gitcmd.Git{Dir: dir}, format} }

func objectsOf(dir string) string { return filepath.Join(dir, "objects") }

// checker is one call of Check. theirs is the repository itself, and ours an empty one of our own with its objects. Not safe for concurrent use.
type checker struct {
	parts        Parts
	set          Set
	dir          string
	manifest     *refs.Manifest
	theirs, ours *repo
	problems     problems
}

func (c *checker) run(ctx context.Context) error {
	steps := []func(context.Context) error{c.borrowed, c.refs, c.packs, c.fsck, c.lfs, c.pointers}
	for _, step := range steps {
		err := step(ctx)
		switch {
		case err == nil:
		case ctx.Err() == nil && complained(err):
			c.problems.add("%v", err)
		default:
			return err
		}
	}
	return nil
}

// found makes a problem of what a file of the repository shows, unless that can't be read here: then err is returned.
func (c *checker) found(err error, format string, args ...any) error {
	if unreadable(err) {
		return err
	}
	c.problems.add(format, args...)
	return nil
}

// pointed makes a problem of what comparing refs showed, unless it could not be found out: then err is returned.
func (c *checker) pointed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case machine(err):
		return err
	case err != nil:
		c.problems.add("refs: %v", err)
	}
	return nil
}

// borrowed looks for files that let git find objects elsewhere, or do without them.
func (c *checker) borrowed(context.Context) error {
	for _, name := range []string{"objects/info/alternates", "objects/info/http-alternates", "info/grafts", "shallow"} {
		there, err := workplace.Exists(filepath.Join(c.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if there {
			c.problems.add("the file %s lets git find objects elsewhere or do without them", name)
		}
	}
	return nil
}

// refs compares what git sees in the repository, and whether all they point to is there.
func (c *checker) refs(ctx context.Context) error {
	if err := c.pointed(ctx, sameRefs(ctx, c.theirs, c.manifest)); err != nil {
		return err
	}
	return c.pointed(ctx, haveObjects(ctx, c.ours, c.manifest.Tips()))
}

// lint is what git fsck says about an object's own content: "error in commit <id>: missingSpaceBeforeDate: …".
var lint = regexp.MustCompile(`^(error|warning) in [a-z]+ [0-9a-f]{40,64}: [A-Za-z0-9]+: `)

// quiet are lines of git fsck that say nothing bad.
var quiet = []string{"notice: ", "dangling ", "unreachable ", "Checking ", "Verifying "}

// fsck runs git's own check. What it said before it gave up counts as well.
func (c *checker) fsck(ctx context.Context) error {
	known, more, err := c.baseline(ctx)
	if err != nil {
		return err
	}
	said, err := fsck(ctx, c.ours, c.manifest.Tips())
	if err != nil && !complained(err) {
		return err
	}
	for _, line := range findings(said) {
		switch {
		case known[line] || lint.MatchString(line):
		case more > 0:
			more--
		default:
			c.problems.add("git fsck: %s", line)
		}
	}
	return err
}

// baseline returns what git fsck said at the source, and how many lines of that are not on record.
func (c *checker) baseline(ctx context.Context) (known map[string]bool, more int, err error) {
	if c.set.Git.Part(record.PartFsck) == nil {
		return nil, 0, nil
	}
	said, err := readPart(ctx, c.parts, c.set.Git, record.PartFsck)
	if err != nil {
		return nil, 0, failed(ctx, c.set.Git, "what git fsck said at the source", err)
	}
	known = map[string]bool{}
	for _, line := range findings(string(said)) {
		known[line] = true
		if n, ok := strings.CutSuffix(line, " more lines"); ok && strings.HasPrefix(n, "~ ") {
			more, _ = strconv.Atoi(n[2:]) // another line then
		}
	}
	return known, more, nil
}

// findings are the lines of git fsck that say something bad. A line that begins with white space goes on with the one before.
func findings(said string) []string {
	var out []string
	for line := range strings.Lines(strings.ToValidUTF8(said, "?")) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, " ") && len(out) > 0:
			out[len(out)-1] += " " + strings.TrimSpace(line)
		case line != "" && !anyPrefix(line, quiet):
			out = append(out, line)
		}
	}
	return out
}

func anyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// fsck returns all that git fsck prints about what the tips reach. An error says that it did not come to its end, and has its last words. What it prints to its second
// stream is kept whole only where it goes to a file, by an alias of ours.
func fsck(ctx context.Context, g *repo, tips []string) (string, error) {
	var b []byte
	for i, oid := range tips { // under names of our own: what a ref is called is not what is checked here
		b = fmt.Appendf(b, "%s refs/tips/%08d\n", oid, i)
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "packed-refs"), b, 0o600); err != nil {
		return "", err
	}
	aliased := *g.Git
	aliased.Env = append(aliased.Env[:len(aliased.Env):len(aliased.Env)], settings([2]string{"core.fsync", "none"},
		[2]string{"alias.farshore-fsck", `!git fsck --full --no-dangling --no-reflogs --no-progress 2>"$GIT_DIR/farshore-fsck"`})...)
	out, err := aliased.Output(ctx, nil, "farshore-fsck")
	said, e := readFirst(filepath.Join(g.Dir, "farshore-fsck"), maxFsck)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case e != nil: // git did not get as far
		return "", errors.Join(err, e)
	case err == nil || fsckResult(code(err)) && !machine(err) && len(out)+len(said) > 0:
		return string(out) + string(said), nil
	}
	return string(out) + string(said), fsckFailed(err, said)
}

// fsckResult reports whether a code is made of the bits in which git fsck says what it found (ERROR_OBJECT to ERROR_MULTI_PACK_INDEX of its builtin/fsck.c). All others
// say that it did not come to its end.
func fsckResult(code int) bool { return code > 0 && code < 1<<6 }

// fsckFailed adds the words that went to the file to the error of a git fsck that failed, by which it can be told why.
func fsckFailed(err error, said []byte) error {
	var g *gitcmd.Error
	if !errors.As(err, &g) {
		return err
	}
	last := strings.ToValidUTF8(string(said[max(0, len(said)-maxWords):]), "?")
	words := strings.TrimSpace(last + "\n" + g.Stderr)
	return &gitcmd.Error{Args: []string{"fsck"}, Stderr: words, Err: &process.Failure{Stderr: words, Err: err}}
}

// maxWords bounds what an error has of git fsck's words.
const maxWords = 2 << 10

// maxFsck bounds what is read of git fsck's words.
const maxFsck = 64 << 20

func readFirst(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// lfs hashes all large files.
func (c *checker) lfs(ctx context.Context) error {
	if c.set.LFS == nil {
		return nil
	}
	for i := range c.set.LFS.Parts {
		if p := &c.set.LFS.Parts[i]; p.Kind == record.PartLFS {
			if err := c.largeFile(ctx, p.SHA256.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// missingLarge says which large file is not there, or has another size; empty when all are. An error says that it can't be seen.
func (c *checker) missingLarge() (string, error) {
	if c.set.LFS == nil {
		return "", nil
	}
	for i := range c.set.LFS.Parts {
		p := &c.set.LFS.Parts[i]
		if p.Kind != record.PartLFS {
			continue
		}
		fi, err := os.Lstat(lfsPath(c.dir, p.SHA256.String()))
		if unreadable(err) {
			return "", err
		}
		if err != nil || fi.Size() != p.Size {
			return fmt.Sprintf("the large file %s is missing or has another size", p.SHA256), nil
		}
	}
	return "", nil
}

func (c *checker) largeFile(ctx context.Context, oid string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := os.Open(lfsPath(c.dir, oid))
	if err != nil {
		return c.found(err, "large file %s: %v", oid, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return c.found(err, "large file %s: %v", oid, err)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != oid {
		c.problems.add("large file %s: its content has the SHA-256 %s", oid, sum)
	}
	return nil
}
