package svn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svndump"
)

// A history can be written anew below its last revision, by a dump that is filtered and loaded. So that this is found, a capture compares more than the last
// revision: all of them where the repository's files were replaced, which its instance shows, and else a few dumps of the chain that are chosen at random.
const (
	// samplesServer is how many these are of a repository behind a server, which shows no instance; samplesFolder where the instance is the same.
	samplesServer, samplesFolder = 3, 1
	// maxSample is how many bytes of a dump are read for that: one that is longer is compared by its last revision only.
	maxSample = 4 << 20
)

// changed says why the repository is not the one that the chain was made of, "" when it is as far as was compared.
func (c *capture) changed(ctx context.Context, chain []link) (string, error) {
	if why := c.another(c.last.Attrs, chain); why != "" {
		return why, nil
	}
	if c.last.Attrs[attrInstance] != c.facts.instance {
		return c.compareAll(ctx, chain)
	}
	why, err := c.compareEnd(ctx, &chain[len(chain)-1], -1)
	if err != nil || why != "" {
		return why, err
	}
	return c.compareSome(ctx, chain)
}

// another says why the repository can't be the one that a record with these attributes and that chain was captured from, without reading either.
func (c *capture) another(before record.Attrs, chain []link) string {
	switch {
	case before[attrUUID] != c.facts.uuid:
		return fmt.Sprintf("the repository's id was %s and is %s", before[attrUUID], c.facts.uuid)
	case c.facts.youngest < end(chain):
		return fmt.Sprintf("the youngest revision was %d and is %d", end(chain), c.facts.youngest)
	}
	return ""
}

// compareAll compares all revisions: first the last ones of each dump, which takes little. It reads as much as a new chain would, and stores nothing.
func (c *capture) compareAll(ctx context.Context, chain []link) (why string, err error) {
	for i := len(chain) - 1; i >= 0 && err == nil && why == ""; i-- {
		why, err = c.compareEnd(ctx, &chain[i], -1)
	}
	for i := 0; i < len(chain) && err == nil && why == ""; i++ {
		why, err = c.compareLink(ctx, &chain[i])
	}
	return why, err
}

// compareSome compares dumps chosen at random. One that can't be made any more says nothing: what was captured of it stays.
func (c *capture) compareSome(ctx context.Context, chain []link) (string, error) {
	n := samplesServer
	if c.facts.instance != "" {
		n = samplesFolder
	}
	order := rand.Perm(len(chain))
	for _, i := range order[:min(n, len(order))] {
		why, err := c.sample(ctx, &chain[i])
		var failed *svncmd.Error
		if errors.As(err, &failed) && ctx.Err() == nil || errors.Is(err, errLong) {
			continue
		}
		if err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
}

func (c *capture) sample(ctx context.Context, l *link) (string, error) {
	if l.dump.Size <= maxSample {
		return c.compareLink(ctx, l)
	}
	return c.compareEnd(ctx, l, maxSample)
}

// errLong says that a revision is too long to be compared in passing.
var errLong = errors.New("the dump is longer than what is compared of it")

// compareEnd compares the last revision of a link, of whose dump it reads at most max bytes unless max is negative.
func (c *capture) compareEnd(ctx context.Context, l *link, max int64) (string, error) {
	s, err := c.repo.dump(ctx, l.to, l.to)
	if err != nil {
		return "", err
	}
	defer s.Close()
	var r io.Reader = s
	if max >= 0 {
		r = io.MultiReader(io.LimitReader(s, max), failing{errLong})
	}
	same := false
	err = svndump.Scan(r, func(r *svndump.Revision) error {
		same = r.Number == l.to && r.Matches(l.digest())
		return nil
	}, nil)
	if err != nil || same {
		return "", err
	}
	return fmt.Sprintf("revision %d is not what it was", l.to), nil
}

// failing is a reader that has nothing but an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// compareLink compares all revisions of a link.
func (c *capture) compareLink(ctx context.Context, l *link) (string, error) {
	s, err := c.repo.dump(ctx, l.from, l.to)
	if err != nil {
		return "", err
	}
	defer s.Close()
	sums, next := newLineSums(), l.from
	err = svndump.Scan(s, func(r *svndump.Revision) error {
		if r.Number != next {
			return &svndump.FormatError{Detail: fmt.Sprintf("revision %d comes in place of %d", r.Number, next)}
		}
		next++
		sums.add(r)
		return nil
	}, nil)
	if err != nil || next == l.to+1 && sums.are(&l.digests) {
		return "", err
	}
	return fmt.Sprintf("revisions %d to %d are not what they were", l.from, l.to), nil
}

// lineSums hash the lines of a list of digests, as a part of it has them: as a dump gives them now, and as one gives them that knows no SHA-1.
type lineSums struct{ now, weak hash.Hash }

func newLineSums() *lineSums { return &lineSums{sha256.New(), sha256.New()} }

func (s *lineSums) add(r *svndump.Revision) {
	weak := *r
	weak.Strong = false
	_, _ = io.WriteString(s.now, r.Line()) // a hash does not fail
	_, _ = io.WriteString(s.weak, weak.Line())
}

// are reports whether the part has these lines.
func (s *lineSums) are(p *record.Part) bool {
	return record.Hash(s.now.Sum(nil)) == p.SHA256 || record.Hash(s.weak.Sum(nil)) == p.SHA256
}
