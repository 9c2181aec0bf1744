// Package drill tries whether the recovery key opens what a vault holds. It draws packs at random, reads the first bytes of each, and has the identity unwrap the
// file key from the header. It never reads or decrypts a payload, and forgets each file key at once: it can run where the recovery key is, over a thin
// line, and shows nothing of what is stored. It writes nothing.
package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// Bounds of a drill.
const (
	// DefaultCount is how many packs are drawn where nobody says how many.
	DefaultCount = 50
	// MaxCount is the most that can be drawn: names and places of the sample are held in memory, 100 bytes each.
	MaxCount = 100_000
	// workers is how many commits or headers are read at a time: both are small, and the wait for each is the store's latency.
	workers = 8
)

// Options say how to drill.
type Options struct {
	// Identities are the recovery identities, at least one. Those of age's own kinds are used concurrently, others (plugins) one call at a time.
	Identities []age.Identity
	// Count is how many packs to draw, 1 to MaxCount; fewer are drawn where there are fewer.
	Count    int
	Now      time.Time
	Progress *Progress
}

// Progress counts what was done, while it runs.
type Progress struct{ Headers, Planned atomic.Int64 }

// Headers draws packs that the chains' commits name, uniformly by name, and opens their headers. What commits do not name does not exist: whoever can write to the
// store could dilute the sample otherwise. The drill is returned where it came to its end, whatever it found. Errors are those that stopped
// it: the store's while commits are read, a failure of the identity itself, or the context's.
func Headers(ctx context.Context, v *vault.Vault, chains []*vault.Chain, o Options) (*report.HeaderDrill, error) {
	if len(o.Identities) == 0 || o.Count < 1 || o.Count > MaxCount {
		return nil, fmt.Errorf("a drill takes a recovery identity, and draws 1 to %d packs", MaxCount)
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	d, err := begin(v, chains, o.Now)
	if err != nil {
		return nil, err
	}
	sample, err := draw(ctx, v, chains, o.Count)
	if err != nil {
		return nil, err
	}
	packs := sample.sorted()
	d.Population, d.Drawn = sample.named, int64(len(packs))
	o.Progress.Planned.Store(d.Drawn)
	r := &run{v: v, opener: newOpener(o.Identities), d: d, progress: o.Progress}
	if err := r.all(ctx, packs); err != nil {
		return nil, err
	}
	return d, nil
}

// begin states what the drill is about.
func begin(v *vault.Vault, chains []*vault.Chain, now time.Time) (*report.HeaderDrill, error) {
	id, err := record.ParseHash(v.ID())
	if err != nil {
		return nil, err
	}
	d := &report.HeaderDrill{Vault: id, Time: now.UTC(), Statement: v.Statement().N, Recovery: int64(len(recovery(v.Statement())))}
	for _, c := range chains {
		if h := c.Head(); h != nil && len(d.Heads) < report.MaxHeads {
			d.Heads = append(d.Heads, report.Head{Chain: c.ID, Seq: h.Seq, Hash: h.Hash})
		}
	}
	return d, nil
}

// run is one drill under way.
type run struct {
	v        *vault.Vault
	opener   *opener
	progress *Progress

	mu sync.Mutex
	d  *report.HeaderDrill
}

// all opens the header of each pack. Findings are in the order of packs.
func (r *run) all(ctx context.Context, packs []entry) error {
	found := make([][]report.Finding, len(packs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i, p := range packs {
		g.Go(func() (err error) {
			found[i], err = r.one(ctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, list := range found {
		for _, f := range list {
			r.d.Note(f.Pack, f.Kind, f.Detail)
		}
	}
	return nil
}

// outcome is what came of one pack.
type outcome int

const (
	opened outcome = iota
	failed
	unread
)

// one opens one header.
func (r *run) one(ctx context.Context, p entry) ([]report.Finding, error) {
	what, findings, err := r.try(ctx, p)
	if err != nil {
		return nil, err
	}
	r.progress.Headers.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch what {
	case opened:
		r.d.Opened++
	case failed:
		r.d.Failed++
	case unread:
		r.d.Unread++
	}
	return findings, nil
}

// try reads and opens one header.
func (r *run) try(ctx context.Context, p entry) (outcome, []report.Finding, error) {
	find := func(kind, format string, args ...any) report.Finding {
		return report.Finding{Pack: p.name, Kind: kind, Detail: fmt.Sprintf(format, args...)}
	}
	most := headerRoom(p.most())
	head, over, err := readHead(ctx, r.v.Bucket(), record.PackName(p.name), most)
	switch {
	case ctx.Err() != nil:
		return 0, nil, context.Cause(ctx)
	case providers.KindOf(err) == providers.NotFound:
		return failed, []report.Finding{find(report.Missing, "a commit names it, and the store does not have it")}, nil
	case err != nil:
		return unread, []report.Finding{find(report.Unread, "%v", err)}, nil
	}
	kinds, err := r.opener.open(head)
	var broken *identityError
	var findings []report.Finding
	if over != "" {
		findings = append(findings, find(report.Hidden, "%s: the oldest version was read", over))
	}
	switch {
	case errors.As(err, &broken):
		return 0, nil, err
	case errors.Is(err, errHeader) && len(head) == most:
		return failed, append(findings, find(report.Damaged, "its header does not end within %d bytes: %v", most, err)), nil
	case errors.Is(err, errHeader):
		return failed, append(findings, find(report.Damaged, "%v", err)), nil
	case err != nil:
		findings = append(findings, find(report.WrongKey, "%v", err))
	}
	for _, f := range p.compare(kinds) {
		findings = append(findings, find(f.Kind, "%s", f.Detail))
	}
	if err != nil {
		return failed, findings, nil
	}
	return opened, findings, nil
}

// Room for headers in bytes. A recipient of the hybrid class takes 1.6 KB of base64; the first 16 KiB hold nine.
const (
	baseRoom      = 16 << 10
	recipientRoom = 2 << 10
)

// headerRoom is how many bytes of a pack are read to find the header of so many recipients, and a few that do not belong there.
func headerRoom(recipients int) int { return max(baseRoom, recipientRoom*(recipients+2)) }

// readHead reads an object's first bytes, at most so many. Where the store shows what lies beneath, they are those of the oldest version, which nobody who came
// later could change; over says what lies over it, "" for nothing.
func readHead(ctx context.Context, b *providers.Bucket, name string, most int) (head []byte, over string, err error) {
	sight, err := b.Sight(ctx)
	if err != nil {
		return nil, "", err
	}
	id := ""
	if sight == providers.SightSeen {
		n, err := b.History(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if n.Versions == 0 {
			return nil, "", &providers.Error{Kind: providers.NotFound, Op: "read", Name: name, Err: errors.New("only markers are left of it")}
		}
		if id = n.ID; !n.Plain() {
			over = fmt.Sprintf("the store has %d versions and %d delete markers of it", n.Versions, n.Markers)
		}
	}
	buf := make([]byte, most)
	n, err := b.ReadVersionRange(ctx, name, id, 0, buf)
	if err != nil && !endsBefore(err) {
		return nil, "", err
	}
	return buf[:n], over, nil
}
