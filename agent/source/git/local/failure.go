package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/process"
	"farshore/agent/source"
)

// ErrMoved says that objects were not there, or no longer, and that the repository has changed meanwhile or is whole again: whoever reads the refs again and
// begins anew gets further.
var ErrMoved = errors.New("the repository changed while it was read")

// failure turns a failure of git in this repository into what the agent is to know.
func (r *Repository) failure(err error) error {
	var git *gitcmd.Error
	if err == nil || !errors.As(err, &git) {
		return err
	}
	if _, statErr := os.Stat(r.dir); errors.Is(statErr, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", r.dir, source.ErrGone)
	}
	switch {
	case strings.Contains(git.Stderr, "Permission denied"):
		return &source.Unreadable{Reason: record.ReasonDenied, Detail: fmt.Sprintf("%s: %v: give the agent's user the right to read it", r.dir, git)}
	case strings.Contains(git.Stderr, "unknown repository extension"), strings.Contains(git.Stderr, "Expected git repo version"),
		strings.Contains(git.Stderr, "unknown ref storage"):
		return unsupported("%s: %v: install a newer git on the agent's machine", r.dir, git)
	}
	if process.Machine(git) {
		return &source.Unreadable{Reason: record.ReasonOther, Detail: fmt.Sprintf("%s: this machine failed, which says nothing of the repository: %v (%s): "+
			"see to its memory, its room and its load, and run the pass again", r.dir, git, how(git))}
	}
	return broken("%s: %v: repair the repository (git fsck names what is damaged) or restore it", r.dir, git)
}

// how is how a git ended that may have said something else before.
func how(git *gitcmd.Error) string {
	var f *process.Failure
	if errors.As(git, &f) {
		return f.Err.Error()
	}
	return git.Err.Error()
}

// diagnose says what it means that a pack of wants without haves, which were there when it began, failed with err. An object that is missing may have been
// deleted a moment ago with the ref that kept it: the repository is called broken only if its refs stayed as they were and a second attempt fails too.
func (r *Repository) diagnose(ctx context.Context, err error, wants, haves []string) error {
	var bad *source.Unreadable
	if known := r.failure(err); !errors.As(known, &bad) || bad.Reason != record.ReasonBroken {
		return known
	}
	if unsettled := r.settled(ctx, wants, haves, err); unsettled != nil {
		return unsettled
	}
	second := r.again(ctx, wants, haves)
	if second == nil {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	if unsettled := r.settled(ctx, wants, haves, second); unsettled != nil {
		return unsettled
	}
	return r.incomplete(ctx, wants, r.failure(second))
}

// settled returns ErrMoved with err unless the refs are what they were when they were last read, and all that a pack begins from is there.
func (r *Repository) settled(ctx context.Context, wants, haves []string, err error) error {
	r.mu.Lock()
	before := r.last
	r.mu.Unlock()
	now, refsErr := r.Refs(ctx)
	if refsErr != nil {
		return refsErr
	}
	missing, missErr := r.missing(ctx, slices.Concat(wants, haves))
	if missErr != nil {
		return r.failure(missErr)
	}
	if len(missing) > 0 || before != nil && before.Digest() != now.Digest() {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return nil
}

// again makes the pack once more and throws it away.
func (r *Repository) again(ctx context.Context, wants, haves []string) error {
	p, err := r.start(ctx, wants, haves, false)
	if err != nil {
		return err
	}
	defer p.Close()
	buf := make([]byte, 64<<10)
	for {
		if _, err := p.read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// incomplete replaces the failure where the repository is meant to have objects missing.
func (r *Repository) incomplete(ctx context.Context, wants []string, failed error) error {
	var bad *source.Unreadable
	if !errors.As(failed, &bad) || bad.Reason != record.ReasonBroken {
		return failed
	}
	if r.promisor {
		return unsupported("%s is a partial clone%s; run: git -C %s fetch --refetch --no-filter, or protect the repository that it was cloned from (%s)",
			r.dir, r.countMissing(ctx, wants), r.dir, bad.Detail)
	}
	if text, err := readSmall(filepath.Join(r.dir, "info", "grafts")); err == nil && trim(text) != "" {
		return unsupported("%s has info/grafts, and what they hide is not there: rewrite its history (git replace --convert-graft-file, then git filter-branch), "+
			"or bring the missing commits back (%s)", r.dir, bad.Detail)
	}
	return bad
}

// countTime is how long counting missing objects may take.
const countTime = 20 * time.Second

// countMissing says how many objects are missing, if that can be told soon.
func (r *Repository) countMissing(ctx context.Context, wants []string) string {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	s, err := r.git.Start(ctx, revisions(wants, nil), "rev-list", "--objects", "--no-object-names", "--missing=print", "--stdin")
	if err != nil {
		return ""
	}
	defer s.Close()
	n := 0
	lines := bufio.NewScanner(s)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "?") {
			n++
		}
	}
	if lines.Err() != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf(": %d objects are missing", n)
}
