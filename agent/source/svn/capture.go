package svn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/svndump"
	"farshore/agent/source"
)

// capture is one capture of one repository.
type capture struct {
	repo  repository
	entry source.Entry
	last  *record.Record // nil, or a good one
	sink  source.Sink

	facts     facts
	chain     []link
	stored    svndump.Blocks // of revision properties, as a restore of what is stored would have them
	unsure    map[int]bool   // blocks of stored that are not known
	revprops  []record.Part
	locks     *[]byte // lines; nil when the repository does not tell
	rewritten string
	omitted   []string
	limits    limits
}

// limits bound how many dumps and parts of revision properties a record has.
type limits struct{ chain, revprops int }

func newCapture(repo repository, e source.Entry, last *record.Record, sink source.Sink) *capture {
	return &capture{repo: repo, entry: e, last: last, sink: sink, limits: limits{maxChain, maxRevprops}}
}

// run captures the repository; its errors are those of source.Source's Capture.
func (c *capture) run(ctx context.Context) (*record.Record, error) {
	rec, err := c.record(ctx)
	if err != nil && ctx.Err() == nil {
		err = c.repo.explain(err)
	}
	return rec, err
}

func (c *capture) record(ctx context.Context) (*record.Record, error) {
	err := c.look(ctx)
	if err == nil {
		err = c.resume(ctx)
	}
	if err == nil {
		err = c.extend(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(c.chain) == 0 {
		return nil, unreadable(record.ReasonBroken, "no revision can be dumped: %s", strings.Join(c.omitted, "; "))
	}
	if err := c.properties(ctx); err != nil {
		return nil, err
	}
	return c.assemble(ctx)
}

// look finds out what is to be captured. Of locks it takes those that were there both before and after the youngest revision was read: so what they lock is there
// in that revision.
func (c *capture) look(ctx context.Context) error {
	var err error
	if c.facts, err = c.repo.facts(ctx); err != nil {
		return err
	}
	before, ok, err := c.repo.locks(ctx)
	if err != nil || !ok {
		return err
	}
	if len(before) > 0 {
		if c.facts, err = c.repo.facts(ctx); err != nil {
			return err
		}
		after, _, err := c.repo.locks(ctx)
		if err != nil {
			return err
		}
		before = common(before, after)
	}
	c.locks = &before
	return nil
}

// common returns the lines of a that b has too.
func common(a, b []byte) []byte {
	there := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		there[line] = true
	}
	out := []byte{}
	for line := range strings.Lines(string(a)) {
		if there[line] {
			out = append(out, line...)
		}
	}
	return out
}

// resume takes up the last record's chain, unless the repository's history is no longer what was captured.
func (c *capture) resume(ctx context.Context) error {
	chain := chainOf(c.last)
	if len(chain) == 0 {
		c.compareWith(c.entry.Before)
		return nil
	}
	why, err := c.changed(ctx, chain)
	if err != nil {
		return err
	}
	if why != "" {
		c.restart(why)
		return nil
	}
	c.chain, c.rewritten = chain, c.last.Attrs[attrRewritten]
	return c.resumeState(ctx)
}

// compareWith says whether the history was written anew since a record that nothing is built upon, as far as the repository's id and its youngest revision tell.
func (c *capture) compareWith(before *record.Record) {
	if before != nil && before.State != record.Present {
		before = before.Last
	}
	if before == nil {
		return
	}
	c.rewritten = before.Attrs[attrRewritten]
	if chain := chainOf(before); len(chain) > 0 {
		if why := c.another(before.Attrs, chain); why != "" {
			c.restart(why)
		}
	}
}

// restart begins a new chain.
func (c *capture) restart(why string) {
	c.chain, c.stored, c.unsure, c.revprops, c.omitted = nil, nil, nil, nil, nil
	c.rewritten = time.Now().UTC().Format(time.RFC3339) + ": " + why
}

// errReplaced says that revisions which were dumped again are not what they were.
var errReplaced = errors.New("revisions are not what they were")

// extend appends the new revisions to the chain.
func (c *capture) extend(ctx context.Context) error {
	from := end(c.chain) + 1
	if from > c.facts.youngest {
		return nil
	}
	to, wrong, err := c.repo.sound(ctx, from, c.facts.youngest)
	if err != nil {
		return err
	}
	if wrong != "" {
		c.omit(to+1, wrong)
	}
	if to < from {
		return nil
	}
	err = c.dump(ctx, keep(c.chain, c.limits.chain), to)
	if errors.Is(err, errReplaced) {
		c.restart(err.Error())
		return c.extend(ctx)
	}
	return err
}

func (c *capture) omit(from int64, why string) {
	c.omitted = []string{fmt.Sprintf("revisions %d to %d: %s", from, c.facts.youngest, strings.ReplaceAll(why, "\n", "; "))}
}

// assemble makes the record of what was stored.
func (c *capture) assemble(ctx context.Context) (*record.Record, error) {
	rec := &record.Record{Path: c.entry.Path, Version: c.entry.Version, Kind: record.KindSVN, State: record.Present, Attrs: record.Attrs{}}
	for _, l := range c.chain {
		rec.Parts = append(rec.Parts, l.dump, l.digests)
	}
	rec.Parts = append(rec.Parts, c.revprops...)
	if c.stored != nil {
		if err := c.lines(ctx, rec, record.PartState, c.stored.Encode()); err != nil {
			return nil, err
		}
	}
	if c.locks != nil {
		if err := c.lines(ctx, rec, record.PartLocks, *c.locks); err != nil {
			return nil, err
		}
	}
	c.attrs(rec.Attrs)
	return rec, nil
}

func (c *capture) lines(ctx context.Context, rec *record.Record, kind string, data []byte) error {
	p, err := c.sink.Lines(ctx, record.Part{Kind: kind}, data)
	rec.Parts = append(rec.Parts, p)
	return err
}

func (c *capture) attrs(a record.Attrs) {
	maps.Copy(a, c.facts.attrs)
	newest := &c.chain[len(c.chain)-1]
	a[attrUUID] = c.facts.uuid
	a[attrYoungest] = strconv.FormatInt(newest.to, 10)
	a[attrDigest] = newest.digest()
	a[attrCaptured] = time.Now().UTC().Format(time.RFC3339)
	for _, k := range []string{attrRevpropsStamp, attrLocksStamp} {
		if v := c.entry.Attrs[k]; v != "" {
			a[k] = v
		}
	}
	if c.rewritten != "" {
		a[attrRewritten] = c.rewritten
	}
	if len(c.omitted) > 0 {
		a[record.AttrOmitted] = strings.Join(c.omitted, "\n")
	}
	maps.DeleteFunc(a, func(_, v string) bool { return v == "" })
}
