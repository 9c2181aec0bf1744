package svnrepo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svndump"
)

// samples is how many files are read by Subversion's own means and compared.
const samples = 20

// maxProblems is how many problems Check tells at most: more say no more.
const maxProblems = 100

// Check compares the repository in dir, as Build made it, with what was recorded when it was captured: it runs svnadmin verify, compares id, revisions, the digest of
// each revision, the properties of revisions, and locks, and reads a sample of files. It returns what is wrong, a line each; an error says that it could not
// be found out.
func Check(ctx context.Context, parts Parts, set Set, dir string) ([]string, error) {
	c := &check{parts: parts, rec: set.SVN, dir: dir}
	for _, step := range []func(context.Context) error{c.verify, c.identity, c.revisions, c.properties, c.locks, c.files} {
		if err := step(ctx); err != nil {
			return c.problems, err
		}
	}
	return c.problems, nil
}

type check struct {
	parts    Parts
	rec      *record.Record
	dir      string
	tool     svncmd.Tool
	problems []string
	sample   []svndump.Text
	seen     int
}

func (c *check) problem(format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

// failed makes a problem of what a program found, and returns what says nothing of the repository.
func (c *check) failed(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || machine(err) || !isProgram(err) {
		return err
	}
	c.problem("%v", err)
	return nil
}

func (c *check) verify(ctx context.Context) error {
	return c.failed(ctx, c.tool.Run(ctx, nil, io.Discard, svncmd.Admin, "verify", c.dir, "--quiet"))
}

func (c *check) identity(ctx context.Context) error {
	for _, what := range []string{attrUUID, attrYoungest} {
		got, err := look(ctx, &c.tool, c.dir, what)
		if err != nil {
			return c.failed(ctx, err)
		}
		if want := c.rec.Attrs[what]; got != want {
			c.problem("%s is %s in place of %s", what, got, want)
		}
	}
	return nil
}

// revisions dumps the repository as the capture did and compares each revision with its recorded digest.
func (c *check) revisions(ctx context.Context) error {
	d := newDigests(ctx, c.parts, c.rec)
	defer d.close()
	s, err := c.tool.Start(ctx, nil, svncmd.Admin, "dump", c.dir, "--quiet", "--deltas", "--incremental", "-r0:HEAD")
	if err != nil {
		return err
	}
	defer s.Close()
	err = svndump.Scan(s, func(r *svndump.Revision) error {
		number, digest, err := d.next()
		switch {
		case err == io.EOF:
			c.problem("revision %d was not captured", r.Number)
		case err != nil:
			return err
		case number != r.Number:
			c.problem("revision %d stands in place of %d", r.Number, number)
		case !r.Matches(digest):
			c.problem("revision %d differs from what was captured", r.Number)
		}
		return nil
	}, c.choose)
	if err != nil {
		return c.failed(ctx, err)
	}
	if number, _, err := d.next(); err == nil {
		c.problem("revisions from %d on are missing", number)
	} else if err != io.EOF {
		return err
	}
	return nil
}

// choose keeps a uniform sample of all contents.
func (c *check) choose(t svndump.Text) {
	c.seen++
	if len(c.sample) < samples {
		c.sample = append(c.sample, t)
	} else if i := rand.IntN(c.seen); i < samples {
		c.sample[i] = t
	}
}

// digests reads the lines of the record's digests parts, one after the other.
type digests struct {
	ctx   context.Context
	parts Parts
	left  []*record.Part
	open  *partReader
	lines *bufio.Reader
}

func newDigests(ctx context.Context, parts Parts, rec *record.Record) *digests {
	d := &digests{ctx: ctx, parts: parts}
	for i := range rec.Parts {
		if rec.Parts[i].Kind == record.PartDigests {
			d.left = append(d.left, &rec.Parts[i])
		}
	}
	return d
}

// next returns the next revision and its digest, io.EOF after the last.
func (d *digests) next() (int64, string, error) {
	for {
		if d.open == nil {
			if len(d.left) == 0 {
				return 0, "", io.EOF
			}
			d.open = open(d.ctx, d.parts, d.left[0])
			d.lines, d.left = bufio.NewReader(d.open), d.left[1:]
		}
		line, err := d.lines.ReadString('\n')
		if err == io.EOF && line == "" {
			d.close()
			continue
		}
		if err != nil {
			return 0, "", fmt.Errorf("digests: %w", err)
		}
		number, digest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		return n, digest, err
	}
}

func (d *digests) close() {
	if d.open != nil {
		d.open.close()
		d.open = nil
	}
}

// locks compares all but the times of the locks.
func (c *check) locks(ctx context.Context) error {
	want, err := recordedLocks(ctx, c.parts, c.rec)
	if err != nil {
		return err
	}
	out, err := c.tool.Output(ctx, svncmd.Admin, "lslocks", c.dir)
	if err != nil {
		return c.failed(ctx, err)
	}
	got, err := svncmd.ParseLocks(out)
	if err != nil {
		return err
	}
	wanted, there := timeless(want), timeless(got)
	if c.rec.Attrs[record.AttrOmitted] != "" { // what they lock may be in a revision that is not captured
		wanted = slices.DeleteFunc(wanted, func(l svncmd.Lock) bool { return !slices.Contains(there, l) })
	}
	if !slices.Equal(wanted, there) {
		c.problem("the locks differ: %d were recorded and %d are there", len(want), len(got))
	}
	return nil
}

func timeless(locks []svncmd.Lock) []svncmd.Lock {
	all := slices.Clone(locks)
	for i := range all {
		all[i].Created, all[i].Expires = "", ""
	}
	slices.SortFunc(all, func(a, b svncmd.Lock) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// files reads the sample with svnlook.
func (c *check) files(ctx context.Context) error {
	for _, t := range c.sample {
		hash, want := sha1.New(), t.SHA1
		if want == "" {
			hash, want = md5.New(), t.MD5
		}
		err := c.tool.Run(ctx, nil, hash, svncmd.Look, "cat", "--revision="+strconv.FormatInt(t.Revision, 10), "--", c.dir, t.Path)
		if err := c.failed(ctx, err); err != nil {
			return err
		}
		if got := hex.EncodeToString(hash.Sum(nil)); err == nil && got != want {
			c.problem("%q in revision %d has other bytes than its digest says", t.Path, t.Revision)
		}
	}
	return nil
}

// properties compares the digests of revision properties, in blocks, with those that were recorded.
func (c *check) properties(ctx context.Context) error {
	p := c.rec.Part(record.PartState)
	if p == nil {
		if c.rec.Attrs[attrLost] == "" {
			c.problem("the record says nothing of revision properties")
		}
		return nil
	}
	var buf bytes.Buffer
	if err := c.parts.Copy(ctx, &buf, p); err != nil {
		return err
	}
	want, err := svndump.ParseBlocks(buf.Bytes())
	if err != nil {
		return err
	}
	s, err := c.tool.Start(ctx, nil, svncmd.Admin, "dump-revprops", c.dir, "--quiet")
	if err != nil {
		return err
	}
	defer s.Close()
	var got svndump.Blocks
	err = svndump.Scan(s, func(r *svndump.Revision) error {
		got.Add(r.Props)
		return nil
	}, nil)
	if err != nil {
		return c.failed(ctx, err)
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			c.problem("properties of revisions %d to %d differ", i*svndump.BlockSize, int64(i*svndump.BlockSize)+want[i].Count-1)
		}
	}
	return nil
}

// machine reports whether a failure says nothing of the repository: a program was not there, did not run or was ended, or something ran out.
func machine(err error) bool {
	var failed *svncmd.Error
	var exit *exec.ExitError
	return process.Machine(err) || errors.Is(err, svncmd.ErrMissing) || errors.As(err, &failed) && !errors.As(err, &exit)
}

// isProgram reports whether a program or its output said so, not the reading of parts.
func isProgram(err error) bool {
	var failed *svncmd.Error
	var format *svndump.FormatError
	return errors.As(err, &failed) || errors.As(err, &format)
}
