package main

import (
	"context"
	"strings"
	"time"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/probe"
	"farshore/agent/report"
	"farshore/agent/units"
)

// plan makes what the daemon does of a configuration: a pass for each source, the probe where something is required of the credential, and the audit.
func (s *service) plan(c *config.Config) *daemon.Plan {
	p := &daemon.Plan{Path: c.Path, Loaded: s.e.now(), Vault: c.Vault, Zone: c.Zone(), Parallel: c.Parallel, Overdue: s.overdue(c)}
	for i := range c.Sources {
		src := &c.Sources[i]
		when, jitter := c.ScheduleOf(src)
		p.Jobs = append(p.Jobs, daemon.Job{
			Name: passJob(src.Name), Kind: history.KindPass, Source: src.Name, Schedule: when, Jitter: jitter, MaxAge: c.GoalsOf(src).MaxAge,
			Run: func(ctx context.Context, f *daemon.Follow) history.Run { return s.pass(ctx, c, src, f) },
		})
	}
	if c.Require != config.RequireNone {
		when, jitter := c.ProbeSchedule()
		p.Jobs = append(p.Jobs, daemon.Job{Name: probeJob, Kind: history.KindProbe, Schedule: when, Jitter: jitter,
			Run: func(ctx context.Context, _ *daemon.Follow) history.Run { return s.probe(ctx, c) }})
	}
	when, jitter := c.VerifySchedule()
	p.Jobs = append(p.Jobs, daemon.Job{Name: verifyJob, Kind: history.KindAudit, Schedule: when, Jitter: jitter,
		Run: func(ctx context.Context, f *daemon.Follow) history.Run { return s.audit(ctx, c, f) }})
	return p
}

// ended takes what a run came to, for the numbers and the heads on the page. The numbers are kept at once: a daemon that is killed has them after its next start.
func (s *service) ended(r history.Run) {
	s.numbers.Ended(r)
	s.shelf.moved(&r)
	s.keepNumbers(context.Background())
}

// keepNumbers keeps what is on the board. A full disk costs numbers after a restart, and nothing else.
func (s *service) keepNumbers(ctx context.Context) {
	if err := s.board.Save(ctx, s.numbersFile()); err != nil {
		s.log.Warn("the numbers of runs are not kept", "error", err)
	}
}

// Names of jobs.
const (
	probeJob  = "probe"
	verifyJob = "verify"
)

// passJob is the name of the job that makes passes over a source.
func passJob(source string) string { return "pass " + source }

// pass makes one pass over a source.
func (s *service) pass(ctx context.Context, c *config.Config, src *config.Source, f *daemon.Follow) history.Run {
	e := s.envOf(c, passJob(src.Name))
	p := new(agent.Progress)
	e.progress = p
	f.By(func() daemon.Measured { return measuredPass(p) })
	res, err := runReplicate(ctx, e, replicateOptions{config: c, sources: []config.Source{*src}, accept: s.takeAccepted(src.Name)})
	run := runOf(ctx, err)
	r, ok := res.(replicateResult)
	if !ok {
		return run
	}
	s.proven(c, r.Protection)
	if len(r.Sources) == 1 {
		run.Pass = passNumbers(&r.Sources[0], p)
	}
	return run
}

// measuredPass is how far a pass is. What is read back from the vault is work as well.
func measuredPass(p *agent.Progress) daemon.Measured {
	back := p.RestoredBytes.Load()
	return daemon.Measured{
		Listed: p.Listed.Load(), Items: captured(p), TotalItems: p.Planned.Load(), Bytes: p.ReadBytes.Load() + back, TotalBytes: p.PlannedBytes.Load() + back,
	}
}

// captured is how many of the planned items are dealt with.
func captured(p *agent.Progress) int64 {
	return p.New.Load() + p.Changed.Load() + p.Renewed.Load() + p.Mended.Load() + p.Unreadable.Load() + p.Gone.Load()
}

// passNumbers are what history keeps of a pass.
func passNumbers(r *passResult, p *agent.Progress) *history.Pass {
	out := &history.Pass{
		Complete: r.Complete, Suspicious: r.Suspicious, Chain: r.Chain, Seq: r.Seq, At: r.at, Listed: r.Listed, New: r.New, Changed: r.Changed, Deleted: r.Deleted,
		ReadBytes: r.ReadBytes, StoredBytes: r.StoredBytes,
	}
	_, out.Hash, _ = strings.Cut(r.Head, ":")
	for _, n := range r.Unreadable {
		out.Unreadable += n
	}
	if !r.Complete {
		out.LeftItems, out.LeftBytes = max(0, p.Planned.Load()-captured(p)), max(0, p.PlannedBytes.Load()-p.ReadBytes.Load())
	}
	return out
}

// probe proves anew what the agent's credential may do.
func (s *service) probe(ctx context.Context, c *config.Config) history.Run {
	e := s.envOf(c, probeJob)
	res, err := runProbe(ctx, e, probe.Writer, false)
	run := runOf(ctx, err)
	if r, ok := res.(probeResult); ok {
		p := protectionOf(c, r.Report)
		s.proven(c, p)
		run.Probe = probeNumbers(p)
	}
	return run
}

func probeNumbers(p *protection) *history.Probe {
	out := &history.Probe{Required: p.Required, Verdict: string(p.Verdict), Words: p.Words}
	if p.Expires != nil {
		out.Expires = *p.Expires
	}
	return out
}

// audit verifies within the configuration's budget, with the agent's own credential and keys.
func (s *service) audit(ctx context.Context, c *config.Config, f *daemon.Follow) history.Run {
	defer s.shelf.again()
	e := s.envOf(c, verifyJob)
	e.measure = func(p poll) {
		f.By(func() daemon.Measured {
			items, bytes, totalItems, totalBytes := p()
			return daemon.Measured{Items: items, Bytes: bytes, TotalItems: totalItems, TotalBytes: totalBytes}
		})
	}
	var o verifyOptions
	var flags verifyFlags
	var err error
	if o.access, err = e.access(); err == nil {
		err = flags.sign(e, &o)
	}
	if err != nil {
		return runOf(ctx, err)
	}
	o.configured(c)
	o.packless = !s.readPacks()
	res, err := e.tellingAudit(ctx, o)
	run := runOf(ctx, err)
	if r, ok := res.(*verifyResult); ok && r != nil && r.Audit != nil {
		run.Audit = auditNumbers(r)
	}
	return run
}

// readPacks reports whether the audit before read packs: then it is worth an alarm that this one may not. Else it is how a writer's credential should be.
func (s *service) readPacks() bool {
	last := s.history.LastEnded(verifyJob)
	return last != nil && last.Audit != nil && last.Audit.Verdict == report.VerdictIntact && last.Audit.Coverage != nil
}

// auditNumbers are what history keeps of an audit.
func auditNumbers(r *verifyResult) *history.Audit {
	a := r.Audit
	out := &history.Audit{Verdict: a.Verdict, Line: a.Line(), Report: r.Hash, ReadBytes: a.ReadBytes, Damaged: int64(len(a.Damaged)) + a.MoreDamaged}
	if r.packsDenied {
		out.Line += "; this credential may not read packs, which the auditor's may: `farshore install --verifier` on another machine"
	}
	if all := a.Coverage.VerifiedBytes + a.Coverage.NeverBytes; all > 0 {
		share := float64(a.Coverage.VerifiedBytes) / float64(all)
		out.Coverage = &share
	}
	return out
}

// maxText bounds the text of a failure that is kept, in bytes.
const maxText = 4 << 10

// runOf is what a failure means for history.
func runOf(ctx context.Context, err error) history.Run {
	f := classify(ctx, err)
	if f == nil {
		return history.Run{}
	}
	if f.exit == exitInterrupted {
		f.hint = "what it committed is kept, and it goes on at the daemon's next start"
	}
	return history.Run{Exit: f.exit, Code: f.code, Text: shortened(f.Error()), Hint: shortened(f.hint)}
}

// shortened bounds a text.
func shortened(text string) string {
	text = units.Shown(text)
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// overdue returns what tells people that a source's newest good snapshot is older than it may be, and that it is well again.
func (s *service) overdue(c *config.Config) func(context.Context, string, time.Time, time.Duration, bool) {
	return func(ctx context.Context, source string, good time.Time, maxAge time.Duration, late bool) {
		e := s.envOf(c, passJob(source))
		t := e.teller(c)
		t.late(ctx, source, good, maxAge, late)
		t.close(ctx)
	}
}
