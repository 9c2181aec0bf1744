package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"farshore/agent/config"
	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/daemon/web"
	"farshore/agent/report"
	"farshore/agent/report/page"
	"farshore/agent/vault"
)

const (
	// lookEvery is how often the vault's chains and reports are read when no audit ends: reading them costs a request for each commit and report.
	lookEvery = 24 * time.Hour
	// lookWait bounds one reading, pageWait making a page of one report.
	lookWait = 15 * time.Minute
	pageWait = 30 * time.Second
	// retryLook is when a reading that failed is tried again.
	retryLook = 15 * time.Minute
	// maxShown is how many reports the page lists, maxPages how many pages are kept.
	maxShown = 200
	maxPages = 8
	// What anybody who reaches the page or the socket may ask for must not cost without bounds at the vault's store: so many readings of the whole at once, and so many pages, and then one
	// in each of these times.
	looks, lookGap  = 10, 5 * time.Minute
	shows, showsGap = 2 * maxPages, time.Minute
)

// shelf is what the daemon knows of the vault's reports and heads. It is read at the start, after each audit and daily; the passes of this daemon move the heads on. It may be
// used concurrently.
type shelf struct {
	s    *service
	wake chan struct{}
	// looks and shows bound how often the vault is read.
	looks, shows *rate.Limiter

	mu    sync.Mutex
	vault string // whose address all of it is of
	read  time.Time
	all   *report.Shelf
	heads []web.Head
	pages []shownPage // the newest last
}

// shownPage is a page of a report.
type shownPage struct {
	hash string
	html []byte
}

func newShelf(s *service) *shelf {
	return &shelf{s: s, wake: make(chan struct{}, 1), looks: rate.NewLimiter(rate.Every(lookGap), looks), shows: rate.NewLimiter(rate.Every(showsGap), shows)}
}

// again has the vault read soon.
func (s *shelf) again() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to be
	}
}

// run reads the vault until ctx ends.
func (s *shelf) run(ctx context.Context) {
	for {
		if s.looks.Wait(ctx) != nil {
			return
		}
		wait := lookEvery
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.s.log.Warn("the vault's chains and reports could not be read, so that the page shows what was known before", "error", err)
			wait = retryLook
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// look reads the vault's chains and reports.
func (s *shelf) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	c := s.s.config()
	return s.withVault(ctx, c, func(e *env, a *access, v *vault.Vault) error {
		s.s.provenAt(c, e.proven)
		chains, err := e.chains(ctx, v)
		if err != nil {
			return err
		}
		all, err := report.Read(ctx, v)
		if err != nil {
			return err
		}
		if s.s.config().Vault != c.Vault {
			return nil // it is about to be read again, elsewhere
		}
		s.seed(chains)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.of(c.Vault)
		s.read, s.all = s.s.e.now(), all
		s.takeHeads(e.headsOf(v, chains, ""))
		return nil
	})
}

// of forgets what is known of another vault than that. The caller holds mu.
func (s *shelf) of(address string) {
	if s.vault != address {
		s.vault, s.read, s.all, s.heads, s.pages = address, time.Time{}, nil, nil, nil
	}
}

// withVault opens a configuration's vault for reading as the agent.
func (s *shelf) withVault(ctx context.Context, c *config.Config, do func(*env, *access, *vault.Vault) error) error {
	e := s.s.envOf(c, "page")
	a, err := e.access()
	if err != nil {
		return err
	}
	return e.withVault(ctx, a, func(v *vault.Vault) error { return do(e, a, v) })
}

// seed tells the daemon what the vault says is the newest good snapshot of each source: its own memory may have been lost.
func (s *shelf) seed(chains []*vault.Chain) {
	for _, src := range s.s.config().Sources {
		var mine []*vault.Chain
		for _, c := range chains {
			if c.Source.Name == src.Name {
				mine = append(mine, c)
			}
		}
		if best := newestBy(mine, (*vault.Chain).NewestGood); best != nil {
			k := best.commit
			s.s.d.Seed(src.Name, daemon.Snapshot{Chain: best.chain.ID, Seq: k.Seq, Hash: k.Hash.String(), Time: k.Time})
		}
	}
}

// takeHeads takes the heads that were read, but for those that a pass moved on meanwhile. The caller holds mu.
func (s *shelf) takeHeads(read []chainHead) {
	known := s.heads
	s.heads = nil
	for _, h := range read {
		one := web.Head{Source: h.Source, Chain: h.Chain}
		if _, err := fmt.Sscanf(h.Head, "%d:%s", &one.Seq, &one.Hash); err != nil {
			continue // a chain without a commit has none
		}
		s.heads = append(s.heads, one)
	}
	for _, h := range known {
		s.advance(h)
	}
}

// advance takes a head that is newer than what is known of its chain. The caller holds mu.
func (s *shelf) advance(h web.Head) {
	for i := range s.heads {
		if s.heads[i].Chain == h.Chain {
			if h.Seq > s.heads[i].Seq {
				s.heads[i] = h
			}
			return
		}
	}
	s.heads = append(s.heads, h)
}

// moved takes the head that a pass left.
func (s *shelf) moved(r *history.Run) {
	if r.Pass == nil || r.Pass.Chain == "" || r.Pass.Seq == 0 {
		return
	}
	now := s.s.config().Vault
	if r.Vault != now {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(now)
	s.advance(web.Head{Source: r.Source, Chain: r.Pass.Chain, Seq: r.Pass.Seq, Hash: r.Pass.Hash})
}

// Heads implements web.Shelf.
func (s *shelf) Heads() ([]web.Head, time.Time) {
	now := s.s.config().Vault
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(now)
	return slices.Clone(s.heads), s.read
}

// Reports implements web.Shelf.
func (s *shelf) Reports() ([]web.Report, time.Time) {
	now := s.s.config().Vault
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(now)
	var out []web.Report
	if s.all == nil {
		return nil, s.read
	}
	for _, entry := range s.all.Entries {
		if len(out) == maxShown {
			break
		}
		if entry.Commitment != nil {
			continue
		}
		l := lineOf(entry)
		out = append(out, web.Report{Hash: l.Hash, Kind: l.Kind, Signer: l.Signer, Role: l.Role, Verdict: l.Verdict, Line: l.Line, Time: entry.Time})
	}
	return out, s.read
}

// Page implements web.Shelf: it reads the one report from the vault.
func (s *shelf) Page(ctx context.Context, hash string) ([]byte, error) {
	c := s.s.config()
	html, all := s.kept(c.Vault, hash)
	if html != nil {
		return html, nil
	}
	if all == nil {
		return nil, web.ErrNoReport
	}
	entry, err := report.Find(all, hash)
	if err != nil || !strings.EqualFold(entry.Hash.String(), hash) {
		return nil, web.ErrNoReport
	}
	if !s.shows.Allow() {
		return nil, web.ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	err = s.withVault(ctx, c, func(e *env, a *access, v *vault.Vault) error {
		whole, _, err := report.Load(ctx, v, entry)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		if err := page.HTML(w, page.NewView(whole, e.namesOf(whole, a), all.Entries)); err != nil {
			return err
		}
		err = w.Flush()
		html = b.Bytes()
		return err
	})
	if err != nil {
		return nil, err
	}
	s.keep(c.Vault, hash, html)
	return html, nil
}

// kept returns the page where it was made not long ago, and the reports.
func (s *shelf) kept(address, hash string) ([]byte, *report.Shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(address)
	for _, p := range s.pages {
		if p.hash == hash {
			return p.html, s.all
		}
	}
	return nil, s.all
}

func (s *shelf) keep(address, hash string, html []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vault != address {
		return
	}
	if len(s.pages) == maxPages {
		s.pages = s.pages[1:]
	}
	s.pages = append(s.pages, shownPage{hash, html})
}
