package svn

import (
	"context"
	"errors"

	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
)

// maxDumps is how many dumps one capture begins. One that was ended since nothing moved counts for several: it took half an hour.
const maxDumps, forSilence = 64, 16

// dump stores the revisions that follow the first n links of the chain, up to to, as one link in place of the others. When the dump breaks off, what came whole is
// dumped again and stored as a link of its own, and the next begins behind it: so a line that never lasts for all of them brings them in pieces. That goes on while each
// dump brings a new revision, and while there is room in the chain; the rest is omitted.
func (c *capture) dump(ctx context.Context, n int, to int64) error {
	p := &pieces{c: c, to: to, n: n, stop: to, omitted: c.omitted}
	for {
		done, err := p.next(ctx)
		if done || err != nil {
			return err
		}
	}
}

// pieces are the links that one capture adds.
type pieces struct {
	c       *capture
	to      int64
	omitted []string // what is omitted whatever comes of the dumps

	n      int   // links that stay
	stop   int64 // the last revision of the next dump
	again  bool  // it came whole before, and its program failed at the end
	tries  int
	stored bool
}

// next makes a dump, and says whether it was the last one.
func (p *pieces) next(ctx context.Context) (bool, error) {
	d := &dumping{c: p.c, kept: p.c.chain[:p.n:p.n], old: p.c.chain[p.n:], from: end(p.c.chain[:p.n]) + 1}
	err := d.run(ctx, p.stop)
	p.tries++
	var failed *svncmd.Error
	switch {
	case err == nil:
		return p.store(), nil
	case !errors.As(err, &failed) || ctx.Err() != nil:
		return true, err
	case silence(err):
		p.tries += forSilence
	}
	whole := d.next - 1
	switch {
	case p.tries < maxDumps && whole > end(p.c.chain) && (whole < p.stop || !p.again):
		p.again, p.stop = whole == p.stop, whole
		p.c.omit(whole+1, because(failed))
		return false, nil
	case p.tries < maxDumps && len(d.old) == 0 && p.stop > d.from && connection(failed):
		p.stop = d.from // that a revision came whole shows only by the next one: this one alone may
		p.c.omit(p.stop+1, because(failed))
		return false, nil
	case p.tries < maxDumps && p.n < len(p.c.chain):
		p.again, p.n, p.stop = false, len(p.c.chain), p.to // what was captured before can't be dumped again: it stays as it is
		return false, nil
	case p.stored:
		p.c.omit(end(p.c.chain)+1, because(failed))
		return true, nil
	}
	return true, err
}

// store takes note of a link that was stored, and says whether it is the last one.
func (p *pieces) store() bool {
	if p.stop == p.to {
		p.c.omitted = p.omitted
		return true
	}
	p.again, p.n, p.stop, p.stored = false, len(p.c.chain), p.to, true
	return p.tries >= maxDumps || p.n >= p.c.limits.chain // what is omitted then was said when it broke off
}

// because says why what follows is omitted, and what it means.
func because(failed *svncmd.Error) string {
	switch {
	case svncmd.Coded(failed, broke...):
		return failed.Error() + ": the connection failed, and not the repository; the next pass goes on from there"
	case process.Machine(failed):
		return failed.Error() + ": this machine failed, or the server did, and not the repository; the next pass goes on from there"
	}
	return failed.Error()
}
