package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"farshore/agent/config"
	"farshore/agent/probe"
	"farshore/agent/probe/fileprobe"
	"farshore/agent/probe/gcsprobe"
	"farshore/agent/probe/rcloneprobe"
	"farshore/agent/probe/s3probe"
	"farshore/providers/gcs"
	"farshore/providers/rclone"
	"farshore/providers/s3/s3client"
)

// openAttacker opens what tries, at a vault's address, what a thief of its credential would. The one caller closes it.
func (e *env) openAttacker(ctx context.Context, address string) (probe.Attacker, error) {
	switch scheme, _, _ := strings.Cut(address, ":"); scheme {
	case "file":
		return attacker(fileprobe.New(address))
	case "s3":
		return attacker(s3probe.New(ctx, address, s3client.Options{UserAgent: userAgent()}))
	case "gs":
		return attacker(gcsprobe.New(ctx, address, gcs.Options{}))
	case "rclone":
		return attacker(rcloneprobe.New(ctx, address, rclone.Options{Log: e.rcloneLog()}))
	}
	return nil, usagef("no probe is known for %s", address)
}

// attacker keeps one that failed to open from becoming an interface that is not nil.
func attacker[A probe.Attacker](a A, err error) (probe.Attacker, error) {
	if err != nil {
		return nil, err
	}
	return a, nil
}

// protection is what is known of the agent's credential at the vault, as results show it.
type protection struct {
	// Required is what the configuration requires: append-only or none.
	Required string `json:"required"`
	// Verdict is protected, unproven or unprotected; Words say why. Without a proof it is unprotected where none is required, and unproven else.
	Verdict   probe.Verdict `json:"verdict"`
	Words     string        `json:"words"`
	Principal string        `json:"principal,omitempty"`
	// Time is when it was tried, Expires until when that holds.
	Time    *time.Time `json:"time,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

// String is a line for people.
func (p *protection) String() string {
	s := verdictWord(p.Verdict) + ": " + p.Words
	if p.Time != nil {
		s += ", tried at " + p.Time.UTC().Format(time.RFC3339)
	}
	return s
}

// custody holds the agent's credential to what the configuration requires, before it writes and while it does: by the proof that is kept in the local state where that is fresh and of
// the same principal, else by trying. Something destructive is a failure; what can't be proven is none, and is said.
type custody struct {
	e     *env
	c     *config.Config
	guard *probe.Guard // nil where nothing is required
	last  *probe.Report
	// protection and refusal are what the last check came to.
	protection *protection
	refusal    error
}

// custody makes the first check. The caller closes it where there is no error.
func (e *env) custody(ctx context.Context, c *config.Config, s *store) (*custody, error) {
	g := &custody{e: e, c: c}
	if c.Require == config.RequireNone {
		g.protection = waived(c)
		if !config.Local(c.Vault) && e.inForce == nil { // a daemon says it once
			e.warn("%s", g.protection)
		}
		return g, nil
	}
	a, err := e.openAttacker(ctx, c.Vault)
	if err != nil {
		return nil, err
	}
	g.guard = &probe.Guard{Dir: c.State, Store: s.Bucket, Attacker: a, Options: e.probeOptions(probe.Writer)}
	if e.shared != nil {
		g.guard.Turns = &e.shared.turns
	}
	if err := g.first(ctx, s); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *custody) first(ctx context.Context, s *store) error {
	if err := os.MkdirAll(g.c.State, 0o700); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	if err := answers(ctx, s.Bucket); err != nil {
		return err
	}
	return g.check(ctx)
}

func (g *custody) close() {
	if g.guard != nil {
		closeIfCloser(g.guard.Attacker)
	}
}

// check makes sure that what was proven still counts, or proves it anew. Its error keeps the agent from writing.
func (g *custody) check(ctx context.Context) error {
	if g.guard == nil {
		return nil
	}
	check := g.guard.Check
	if g.last != nil {
		check = func(ctx context.Context) (*probe.Report, error) { return g.guard.Again(ctx, g.last) }
	}
	r, err := check(ctx)
	if r == nil {
		return fmt.Errorf("prove that the agent's credential is append-only: %w", err)
	}
	if r == g.last {
		return g.refusal
	}
	if err != nil {
		g.e.warn("the proof is not kept, and the next run makes another: %v", err)
	}
	g.last, g.protection, g.refusal = r, protectionOf(g.c, r), nil
	switch r.Verdict {
	case probe.Unprotected:
		f := unprotected(r)
		f.hint += ", and `farshore probe` what was tried; `require: none` in the configuration replicates all the same, and every report says so"
		g.refusal = f
	case probe.Unproven:
		g.e.warn("%s", g.protection)
	default:
		g.e.detail("%s", g.protection)
	}
	return g.refusal
}

// waived is the protection where none is required: nothing was tried, and nothing is claimed.
func waived(c *config.Config) *protection {
	words := "what the credential may do to the vault is not asked (require: none)"
	if config.Local(c.Vault) {
		words = "the vault is a directory of this machine, and whoever may write there may destroy it (require: none)"
	}
	return &protection{Required: c.Require, Verdict: probe.Unprotected, Words: words}
}

// protectionOf says what a proof comes to.
func protectionOf(c *config.Config, r *probe.Report) *protection {
	return &protection{Required: c.Require, Verdict: r.Verdict, Words: why(r), Principal: r.Principal, Time: &r.Time, Expires: &r.Expires}
}

// provenSoFar is what the local state knows of the agent's credential at the place that is read, without trying. nil where it is not the configuration's vault, about
// whose credential nothing is known here.
func (e *env) provenSoFar(a *access, place string) *protection {
	c := a.config
	if c == nil || c.Vault != a.url {
		return nil
	}
	if c.Require == config.RequireNone {
		return waived(c)
	}
	r, err := probe.Load(a.state)
	if err != nil || r == nil || r.Place != place {
		return &protection{Required: c.Require, Verdict: probe.Unproven, Words: "no proof that the agent's credential is append-only is kept here: `farshore probe` makes one"}
	}
	p := protectionOf(c, r)
	if p.Verdict == probe.Protected && !r.Fresh(e.now(), place, r.Principal) {
		p.Verdict, p.Words = probe.Unproven, "the proof does not count any more, which said: "+r.Words
	}
	return p
}
