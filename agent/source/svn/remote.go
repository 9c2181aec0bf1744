package svn

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svndump"
	"farshore/agent/source"
)

// remote is a repository that a server shows.
type remote struct {
	url string
	o   *Options
	// quiet is how long the server may say nothing in answer to a small question.
	quiet time.Duration
}

// quiet is how long a server may say nothing in answer to a small question, such as what its youngest revision is: it reads next to nothing for it. A dump may take
// longer for each revision (svncmd.Tool).
const quiet = 2 * time.Minute

// lost says what a server does not show, in the record of each repository that was captured from one.
const lost = "locks, hooks and configuration; carriage returns in properties; paths that the user may not read, which the server leaves out without a word"

// errHidden says that the server does not tell the properties of each revision.
var errHidden = errors.New("the server does not show the properties of all revisions")

// start runs a program with a password that was asked for just now.
func (r *remote) start(ctx context.Context, program string, args ...string) (*svncmd.Stream, error) {
	return r.startWithin(ctx, 0, program, args...)
}

// startWithin is start with a time that the program may say nothing for; 0 is svncmd's own.
func (r *remote) startWithin(ctx context.Context, idle time.Duration, program string, args ...string) (*svncmd.Stream, error) {
	t := svncmd.Tool{Username: r.o.Username, SSH: r.o.SSH, Idle: idle}
	if r.o.Password != nil {
		p, err := r.o.Password(ctx)
		if err != nil {
			return nil, err
		}
		t.Password = p
	}
	return t.Remote(ctx, program, args...)
}

// maxAnswer bounds what a server says in answer to a small question.
const maxAnswer = 1 << 24

// output asks a small question. A server that says nothing for the time of quiet fails it.
func (r *remote) output(ctx context.Context, args ...string) ([]byte, error) {
	s, err := r.startWithin(ctx, r.quiet, svncmd.SVN, args...)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	b, err := io.ReadAll(io.LimitReader(s, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = errors.New("svn " + args[0] + ": the server's answer is too long")
	}
	return b, err
}

// facts asks for the root, which fails where it may not be read.
func (r *remote) facts(ctx context.Context) (facts, error) {
	out, err := r.output(ctx, "info", "--xml", r.url+"@")
	if svncmd.Coded(err, "E160013") { // said of the root: later, of what a revision has
		return facts{}, source.ErrGone
	}
	if err != nil {
		return facts{}, r.explain(err)
	}
	info, err := svncmd.ParseInfo(out)
	if err != nil {
		return facts{}, err
	}
	if strings.TrimRight(info.URL, "/") != strings.TrimRight(info.Root, "/") {
		return facts{}, unreadable(record.ReasonUnsupported, "%s is a folder within the repository %s: name the repository itself", info.URL, info.Root)
	}
	attrs := record.Attrs{attrFidelity: "reduced", attrLost: lost}
	return facts{uuid: info.UUID, youngest: info.Youngest, attrs: attrs}, nil
}

func (r *remote) look(ctx context.Context, kind string) (record.Attrs, error) {
	if kind != record.KindSVN {
		return nil, source.ErrGone
	}
	f, err := r.facts(ctx)
	if err != nil {
		return nil, err
	}
	return record.Attrs{attrUUID: f.uuid, attrYoungest: strconv.FormatInt(f.youngest, 10)}, nil
}

// sound can't be asked of a server: its dump stops where something is wrong.
func (r *remote) sound(_ context.Context, _, to int64) (int64, string, error) { return to, "", nil }

func (r *remote) dump(ctx context.Context, from, to int64) (io.ReadCloser, error) {
	return r.start(ctx, svncmd.RDump, "dump", "--quiet", "--incremental", revisions(from, to), r.url)
}

// revprops reads the log, which lists all revisions of the root but the first. Unlike the other commands, the one for that takes no @ after the address.
func (r *remote) revprops(ctx context.Context, from, to int64, each func(int64, []svndump.Property) error) error {
	if from == 0 {
		out, err := r.output(ctx, "proplist", "--xml", "--verbose", "--revprop", "-r0", r.url)
		if err != nil {
			return err
		}
		props, err := svncmd.ParseRevprops(out)
		if err == nil {
			err = each(0, properties(props))
		}
		if err != nil {
			return err
		}
	}
	next := max(from, 1)
	if next > to {
		return nil
	}
	s, err := r.start(ctx, svncmd.SVN, "log", "--xml", "--with-all-revprops", revisions(next, to), r.url+"@")
	if err != nil {
		return err
	}
	defer s.Close()
	err = svncmd.ParseLog(s, func(l svncmd.Logged) error {
		if l.Revision != next {
			return errHidden
		}
		next++
		return each(l.Revision, properties(l.Props))
	})
	if err == nil && next != to+1 {
		return errHidden
	}
	return err
}

func properties(of map[string]string) []svndump.Property {
	all := make([]svndump.Property, 0, len(of))
	for name, value := range of {
		all = append(all, svndump.Property{Name: name, Value: value})
	}
	return all
}

func (r *remote) locks(context.Context) ([]byte, bool, error) { return nil, false, nil }

// broke are the codes by which the programs say that the connection to a server broke off or was never there: Subversion's own, those of its library for HTTP, and the
// system's.
var broke = []string{
	"E210002", "E210003", "E175012", "E120101", "E120102", "E120103", "E120105", "E120106", "E120108",
	"E000032", "E000101", "E000103", "E000104", "E000107", "E000110", "E000111", "E000112", "E000113", "E670002", "E670003", "E670008",
}

// connection reports whether it was the connection that failed.
func connection(err error) bool { return svncmd.Coded(err, broke...) || silence(err) }

// silence reports whether a program was ended since a server said nothing.
func silence(err error) bool {
	var stalled *process.StallError
	return errors.As(err, &stalled)
}

// explain tells what is wrong with one repository from a server that can't be reached.
func (r *remote) explain(err error) error {
	var format *svndump.FormatError
	switch {
	case process.Machine(err) && !connection(err) && !errors.Is(err, svncmd.ErrMissing):
		return unreadable(record.ReasonOther, "%v: this machine failed, or the server did, which says nothing of the repository: see to their memory and room, and run the pass again", err)
	case svncmd.Coded(err, "E170001", "E215004", "E220001", "E220000", "E175013"):
		return unreadable(record.ReasonDenied, "%v: the user needs read access to the root of %s", err, r.url)
	case svncmd.Coded(err, "E210005", "E170000"):
		return source.ErrGone
	case connection(err): // whatever else it says
		return err
	case svncmd.Coded(err, "E160004", "E160006", "E160013", "E200014", "E140001") || errors.As(err, &format):
		return unreadable(record.ReasonBroken, "%v: run svnadmin verify on the server", err)
	case svncmd.Coded(err, "E175003", "E175009", "E175015", "E175011", "E170011"):
		return unreadable(record.ReasonOther, "%v: look whether %s is the address of a repository", err, r.url)
	case svncmd.Coded(err, "E175002") && strings.Contains(err.Error(), "server error 500"):
		return unreadable(record.ReasonOther, "%v: look at what the server's log says of it", err)
	}
	return err
}
