package svn

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svndump"
	"farshore/agent/source"
)

// local is a repository of this machine.
type local struct {
	dir  string
	tool svncmd.Tool
}

// lines reads the lines of a small file.
func (l *local) lines(name string) ([]string, error) {
	b, err := readSmall(filepath.Join(l.dir, name))
	return strings.Split(string(b), "\n"), err
}

func (l *local) facts(context.Context) (facts, error) {
	f := facts{attrs: record.Attrs{}}
	return f, trouble(l.dir, l.readFacts(&f))
}

func (l *local) readFacts(f *facts) error {
	if err := l.supported(f); err != nil {
		return err
	}
	current, err := l.lines("db/current")
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(current[0], " ")
	if f.youngest, err = strconv.ParseInt(number, 10, 64); err != nil || f.youngest < 0 {
		return unreadable(record.ReasonBroken, "db/current says %.40q in place of the youngest revision: run svnadmin recover", current[0])
	}
	id, err := l.lines("db/uuid")
	if err != nil {
		return err
	}
	f.uuid = strings.TrimSpace(id[0])
	if len(id) > 1 {
		f.instance = strings.TrimSpace(id[1])
	}
	f.attrs[attrInstance] = f.instance
	return waitless(l.dir)
}

// supported refuses the back ends whose revisions can't be trusted to be dumped while they are in use.
func (l *local) supported(f *facts) error {
	if is, err := examine(l.dir); !is || err != nil {
		return cmp.Or(err, source.ErrGone)
	}
	if _, err := l.lines("format"); err != nil {
		return err
	}
	kind, err := l.lines("db/fs-type")
	if errors.Is(err, os.ErrNotExist) {
		kind, err = []string{"bdb"}, nil // Subversion 1.0 had no other
	}
	if err != nil {
		return err
	}
	f.attrs[attrFSType] = strings.TrimSpace(kind[0])
	if f.attrs[attrFSType] != "fsfs" {
		return unreadable(record.ReasonUnsupported, "the back end is %s and only fsfs is captured: load a dump of it into a new repository of type fsfs", f.attrs[attrFSType])
	}
	format, err := l.lines("db/format")
	if errors.Is(err, os.ErrNotExist) {
		format, err = []string{"1"}, nil
	}
	if err != nil {
		return err
	}
	f.attrs[attrFormat] = strings.TrimSpace(format[0])
	return nil
}

func (l *local) look(ctx context.Context, kind string) (record.Attrs, error) {
	a := record.Attrs{}
	if kind == record.KindSidecar {
		stamp, err := sidecarStamp(l.dir)
		if err != nil {
			return nil, trouble(l.dir, err)
		}
		a[attrStamp] = stamp
		return a, nil
	}
	// The stamps come first: what is written after them, and read with the facts, makes the next listing differ.
	for key, folder := range map[string]string{attrRevpropsStamp: "db/revprops", attrLocksStamp: "db/locks"} {
		stamp, err := folderStamp(filepath.Join(l.dir, folder))
		if err != nil {
			return nil, trouble(l.dir, err)
		}
		a[key] = stamp
	}
	f, err := l.facts(ctx)
	if err != nil {
		return nil, err
	}
	a[attrUUID], a[attrYoungest], a[attrInstance] = f.uuid, strconv.FormatInt(f.youngest, 10), f.instance
	return a, nil
}

func revisions(from, to int64) string { return fmt.Sprintf("-r%d:%d", from, to) }

// sound verifies the revisions. verify may find a fault with the index of many revisions at once, before it looks at the first of them: then halves are verified
// until it is known which one it is.
func (l *local) sound(ctx context.Context, from, to int64) (int64, string, error) {
	n, wrong, err := l.verify(ctx, from, to)
	if err != nil || wrong == "" || n >= from {
		return n, wrong, err
	}
	good, bad := from-1, to // from to good is sound, good+1 to bad is not
	for good+1 < bad {
		middle := good + (bad-good)/2
		n, said, err := l.verify(ctx, good+1, middle)
		switch {
		case err != nil:
			return n, "", err
		case said == "":
			good = middle
		case n > good:
			return n, said, nil
		default:
			bad, wrong = middle, said
		}
	}
	return good, wrong, nil
}

// verify returns the last revision of from to to that it could verify, and what it said of the next.
func (l *local) verify(ctx context.Context, from, to int64) (int64, string, error) {
	good := from - 1
	s, err := l.tool.Start(ctx, nil, svncmd.Admin, "verify", l.dir, revisions(from, to))
	if err != nil {
		return good, "", err
	}
	defer s.Close()
	lines := bufio.NewScanner(s)
	for lines.Scan() {
		var n int64
		if _, err := fmt.Sscanf(lines.Text(), "* Verified revision %d.", &n); err == nil && n == good+1 {
			good = n
		}
	}
	err = lines.Err()
	var failed *svncmd.Error
	switch {
	case err == nil:
		return to, "", nil
	case errors.As(err, &failed) && !denied(err) && !tooNew(err) && !process.Machine(err):
		return good, failed.Error(), nil
	}
	return good, "", err
}

func (l *local) dump(ctx context.Context, from, to int64) (io.ReadCloser, error) {
	return l.tool.Start(ctx, nil, svncmd.Admin, "dump", l.dir, "--quiet", "--deltas", "--incremental", revisions(from, to))
}

func (l *local) revprops(ctx context.Context, from, to int64, each func(int64, []svndump.Property) error) error {
	s, err := l.tool.Start(ctx, nil, svncmd.Admin, "dump-revprops", l.dir, "--quiet", revisions(from, to))
	if err != nil {
		return err
	}
	defer s.Close()
	d := svndump.NewReader(s)
	for {
		rec, err := d.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		n, ok := rec.Revision()
		if !ok {
			continue
		}
		props, err := rec.Properties()
		if err == nil {
			err = each(n, props)
		}
		if err != nil {
			return err
		}
	}
}

func (l *local) locks(ctx context.Context) ([]byte, bool, error) {
	out, err := l.tool.Output(ctx, svncmd.Admin, "lslocks", l.dir)
	if err != nil {
		return nil, false, err
	}
	all, err := svncmd.ParseLocks(out)
	if err != nil {
		return nil, false, unreadable(record.ReasonOther, "%v: look at what svnadmin lslocks prints there", err)
	}
	lines, err := svncmd.EncodeLocks(all)
	return lines, true, err
}

// tooNew says that the repository's format is not known to the programs.
func tooNew(err error) bool { return svncmd.Coded(err, "E165005", "E160043", "E165000") }

func denied(err error) bool { return svncmd.Coded(err, "E000013") }

// explain makes what is wrong with one repository an unreadable item.
func (l *local) explain(err error) error {
	var failed *svncmd.Error
	var format *svndump.FormatError
	switch {
	case !errors.As(err, &failed) && !errors.As(err, &format):
		return err
	case errors.Is(trouble(l.dir, err), source.ErrGone):
		return source.ErrGone
	case process.NoRoom(err):
		return fmt.Errorf("%w: there is no room left on this machine, which says nothing of the repository: make room where TMPDIR points to, and run the pass again", err)
	case process.Machine(err):
		return unreadable(record.ReasonOther, "%v: this machine failed, which says nothing of the repository: see to its memory and its load, and run the pass again", err)
	case denied(err):
		return unreadable(record.ReasonDenied, "%v: let the user that farshore runs as read the repository", err)
	case tooNew(err):
		return unreadable(record.ReasonUnsupported, "%v: install a newer version of Subversion on this machine", err)
	}
	return unreadable(record.ReasonBroken, "%v: run svnadmin verify there, and restore the revision from a copy", err)
}
