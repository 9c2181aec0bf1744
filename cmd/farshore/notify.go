package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"farshore/agent/config"
	"farshore/agent/metrics"
	"farshore/agent/notify"
	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/agent/report"
)

// teller tells people and their services what came of a run: channels, dead man's switches and the file for metrics, as the configuration says. Nothing of it makes a run
// fail. Without a configuration it does nothing; nil does nothing, too.
type teller struct {
	e *env
	c *config.Config
	n *notify.Notifier
	// switches are those of sources by name; audits is that of verify. nil where there is none.
	switches map[string]*notify.Switch
	audits   *notify.Switch
	set      metrics.Set
	vaultID  string
	begun    time.Time
}

// toldResult says what came of telling.
type toldResult struct {
	Sent int `json:"sent"`
	// Held are messages that say what was told not long ago.
	Held int `json:"held"`
	// Failed could not be sent; Problems say why, without addresses.
	Failed   int      `json:"failed"`
	Problems []string `json:"problems,omitempty"`
}

// teller opens the channels. It calls nobody yet, and never fails: what can't be used is told at the end.
func (e *env) teller(c *config.Config) *teller {
	pings := c != nil && (c.Verify.Ping != "" || slices.ContainsFunc(c.Sources, func(s config.Source) bool { return s.Ping != "" }))
	if c == nil || e.board == nil && len(c.Notify) == 0 && c.Metrics.Textfile == "" && !pings {
		return nil
	}
	t := &teller{e: e, c: c, switches: map[string]*notify.Switch{}, begun: e.now()}
	o := notify.Options{State: c.State, Now: e.now}
	for i := range c.Notify {
		o.Channels = append(o.Channels, channelOf(c, &c.Notify[i], e.getenv))
	}
	t.n = notify.New(o)
	open := func(ping config.Secret) *notify.Switch {
		if ping == "" {
			return nil
		}
		return t.n.NewSwitch(c.Reveal(ping, e.getenv))
	}
	for _, s := range c.Sources {
		t.switches[s.Name] = open(s.Ping)
	}
	t.audits = open(c.Verify.Ping)
	return t
}

// readerTeller is the teller of a command that reads a vault: what another vault than the configuration's shows is nothing that its channels wait for.
func (e *env) readerTeller(a *access) *teller {
	if a.config == nil || a.url != a.config.Vault {
		return nil
	}
	return e.teller(a.config)
}

// channelOf makes a channel of what the configuration says. One whose secrets can't be read is broken.
func channelOf(c *config.Config, one *config.Channel, getenv func(string) string) notify.Channel {
	out := notify.Channel{Name: one.Name, Names: one.Names}
	for _, on := range one.On {
		out.On = append(out.On, notify.Outcome(on))
	}
	if len(out.On) == 0 {
		out.On = []notify.Outcome{notify.Alarm, notify.Failure, notify.Warning}
	}
	reveal := func(s config.Secret) (v string) {
		if s != "" && out.Broken == nil {
			v, out.Broken = c.Reveal(s, getenv)
		}
		return v
	}
	address, secret, password := reveal(one.URL), reveal(one.Secret), reveal(one.Password)
	if out.Broken != nil {
		return out
	}
	switch one.Kind {
	case config.ChannelEmail:
		out.Sender = &notify.Email{Server: one.Server, Username: one.Username, Password: password, From: one.From, To: one.To}
	case config.ChannelService:
		out.Sender, out.Broken = notify.NewService(address)
	default:
		out.Sender, out.Broken = notify.NewWebhook(address, secret)
	}
	return out
}

// vault notes which vault it is about.
func (t *teller) vault(id string) {
	if t != nil {
		t.vaultID = id
	}
}

// begin says that a pass over a source begins.
func (t *teller) begin(ctx context.Context, name string) {
	if t != nil && t.switches[name] != nil {
		t.switches[name].Begin(ctx)
	}
}

// stoppedBy reports whether a failure is that somebody stopped the run. Then nothing is told: who stopped it knows, and a switch that was begun waits for its end.
func stoppedBy(ctx context.Context, f *failure) bool {
	return f != nil && ctx.Err() != nil && f.exit != exitDamage && f.code != codeSuspicious
}

// pass tells what came of a pass over a source.
func (t *teller) pass(ctx context.Context, name string, r *passResult, err error) {
	f := classify(ctx, err)
	suspicious := len(r.Suspicious) > 0 // an alarm, whatever else went wrong
	if t == nil || stoppedBy(ctx, f) && !suspicious {
		return
	}
	ev := t.event(notify.Pass, t.subjectOf(name), name, f)
	ev.Fields = passFields(r)
	if suspicious {
		ev.Outcome = notify.Alarm
		ev.Text += "\n" + strings.Join(r.Suspicious, "\n")
	}
	t.n.Tell(ctx, ev)
	if s := t.switches[name]; s != nil {
		s.End(ctx, ev)
	}
	t.measurePass(name, r, ev.Exit)
}

// session tells how a whole run of replicate went, beyond its sources: missed are those that it did not come to, err is why.
//
// A daemon's run is about its one source, and where all went well that was told of with its pass: it has nothing to do with runs of other sources beside it.
func (t *teller) session(ctx context.Context, asked, missed []config.Source, p *protection, err error) {
	if t == nil {
		return
	}
	t.credential(ctx, p)
	f := classify(ctx, err)
	if stoppedBy(ctx, f) {
		return
	}
	ev := t.event(notify.Pass, "all sources", "", f)
	if t.e.shared != nil && len(asked) == 1 {
		if f == nil {
			return
		}
		ev = t.event(notify.Pass, t.subjectOf(asked[0].Name), asked[0].Name, f)
	}
	ev.Quiet = f == nil
	if f == nil || f.code != codeUnprotected || p == nil { // a destructive credential was told of by itself
		t.n.Tell(ctx, ev)
	}
	if f == nil {
		return
	}
	if f.code == codeUnprotected {
		t.set.Put("farshore_append_only_proven", 0)
	}
	for _, s := range missed {
		if t.switches[s.Name] != nil {
			t.switches[s.Name].End(ctx, ev)
		}
		t.measurePass(s.Name, new(passResult), ev.Exit)
	}
}

// credential tells what is known of the agent's credential, where something is required of it.
func (t *teller) credential(ctx context.Context, p *protection) {
	if t == nil || p == nil {
		return
	}
	t.set.Replace(metrics.Agent, "")
	t.set.Put("farshore_build_info", 1, buildVersion().Version)
	t.set.Put("farshore_append_only_proven", metrics.Flag(p.Verdict == probe.Protected))
	if p.Expires != nil && p.Verdict == probe.Protected {
		t.set.PutTime("farshore_append_only_expires_timestamp_seconds", *p.Expires)
	}
	if p.Required != config.RequireAppendOnly {
		return
	}
	var f *failure
	switch p.Verdict {
	case probe.Unprotected:
		f = &failure{exit: exitDamage, code: codeUnprotected, err: errors.New(p.Words), hint: policyHint(probe.Writer)}
	case probe.Unproven:
		f = &failure{exit: exitIncomplete, code: codeUnproven, err: errors.New(p.Words), hint: policyHint(probe.Writer)}
	}
	ev := t.event(notify.Probe, "the agent's credential", "", f)
	ev.Quiet = f == nil
	t.n.Tell(ctx, ev)
}

// codeLate is the code of a source whose newest good snapshot is older than it may be.
const codeLate = "late"

// late tells that the newest good snapshot of a source is older than it may be, or that it is well again. good is zero where there is none.
func (t *teller) late(ctx context.Context, name string, good time.Time, maxAge time.Duration, late bool) {
	if t == nil {
		return
	}
	var f *failure
	if late {
		err := fmt.Errorf("source %s has no complete snapshot that is not suspicious, and should have one that is at most %s old", name, formatDuration(maxAge))
		if !good.IsZero() {
			err = fmt.Errorf("the newest complete snapshot of source %s that is not suspicious is of %s, and may be %s old", name, record.FormatTime(good), formatDuration(maxAge))
		}
		f = &failure{exit: exitFailed, code: codeLate, err: err, hint: "`farshore status` on the agent's machine says what its passes came to"}
	}
	ev := t.event(notify.Late, t.subjectOf(name), name, f)
	ev.Quiet = f == nil
	t.n.Tell(ctx, ev)
}

// auditBegins says that an audit begins.
func (t *teller) auditBegins(ctx context.Context) {
	if t != nil && t.audits != nil {
		t.audits.Begin(ctx)
	}
}

// audit tells what came of an audit; a is nil where there was none.
func (t *teller) audit(ctx context.Context, vaultID string, a *report.Audit, err error) {
	f := classify(ctx, err)
	if t == nil || stoppedBy(ctx, f) || mistyped(f) {
		return
	}
	t.vault(vaultID)
	ev := t.event(notify.Audit, "the vault", "", f)
	if a != nil {
		ev.Text = a.Line() + "\n" + ev.Text
		ev.Fields = []notify.Field{
			{Name: "verdict", Value: a.Verdict}, {Name: "mode", Value: a.Mode}, {Name: "read", Value: formatBytes(a.ReadBytes)},
			{Name: "damaged objects", Value: formatCount(int64(len(a.Damaged)) + a.MoreDamaged)}, {Name: "took", Value: formatDuration(a.Time.Sub(a.Started))},
		}
		t.set.PutAudit(a, ev.Exit)
	} else {
		t.set.Put("farshore_audit_success", 0)
	}
	t.n.Tell(ctx, ev)
	if t.audits != nil {
		t.audits.End(ctx, ev)
	}
}

// drill tells what came of a drill; d is nil where nothing was restored.
func (t *teller) drill(ctx context.Context, vaultID, name string, d *report.Drill, err error) {
	f := classify(ctx, err)
	if t == nil || stoppedBy(ctx, f) || mistyped(f) {
		return
	}
	t.vault(vaultID)
	ev := t.event(notify.Drill, t.subjectOf(name), name, f)
	t.set.Replace(metrics.Drill, name)
	t.set.Put("farshore_drill_success", metrics.Flag(f == nil), name)
	t.set.PutTime("farshore_drill_timestamp_seconds", t.e.now(), name)
	if d != nil {
		took := seconds64(d.Seconds)
		t.set.Put("farshore_drill_duration_seconds", d.Seconds, name)
		ev.Fields = []notify.Field{
			{Name: "snapshot", Value: strconv.FormatInt(d.Seq, 10)}, {Name: "restored", Value: formatCount(d.Items) + ", " + formatBytes(d.Bytes)},
			{Name: "failed", Value: formatCount(d.Failed)}, {Name: "took", Value: formatDuration(took)},
		}
	}
	t.n.Tell(ctx, ev)
}

// tellingAudit runs an audit and tells what came of it.
func (e *env) tellingAudit(ctx context.Context, o verifyOptions) (result, error) {
	t := e.readerTeller(o.access)
	o.begins = func() { t.auditBegins(ctx) }
	res, err := runVerify(ctx, e, o)
	r, _ := res.(*verifyResult)
	if r == nil {
		t.audit(ctx, "", nil, err)
		t.close(ctx)
		return res, err
	}
	t.audit(ctx, r.VaultID, r.Audit, err)
	r.Told = t.close(ctx)
	return r, err
}

// tellingDrill runs a drill and tells what came of it.
func (e *env) tellingDrill(ctx context.Context, o verifyOptions) (result, error) {
	t := e.readerTeller(o.access)
	res, err := runVerifyDrill(ctx, e, o)
	r, _ := res.(*rehearsal)
	if r == nil {
		t.drill(ctx, "", o.source, nil, err)
		t.close(ctx)
		return res, err
	}
	t.drill(ctx, r.VaultID, o.source, &r.Drill, err)
	r.Told = t.close(ctx)
	return r, err
}

// mistyped reports whether a failure is only about how the command was called: whoever did is told so.
func mistyped(f *failure) bool { return f != nil && f.code == codeUsage }

// close waits for what is on its way, writes the metrics, and says what came of all of it; nil where nothing was to be told. Problems are warnings, and no failures.
func (t *teller) close(ctx context.Context) *toldResult {
	if t == nil {
		return nil
	}
	results, trouble := t.n.Wait()
	out := new(toldResult)
	problem := func(text string) {
		if !slices.Contains(out.Problems, text) {
			out.Problems = append(out.Problems, text)
			t.e.warn("%s", text)
		}
	}
	for _, r := range results {
		switch {
		case r.Sent:
			out.Sent++
		case r.Held:
			out.Held++
		case r.Err != nil:
			out.Failed++
			problem(fmt.Sprintf("channel %s was not told: %v", r.Channel, r.Err))
		}
	}
	for _, err := range trouble {
		problem("notify: " + err.Error())
	}
	if !t.set.Empty() {
		t.set.Put("farshore_notifications_failed", float64(out.Failed))
	}
	for _, err := range t.keepNumbers(ctx) {
		problem(err.Error())
	}
	return out
}

// keepNumbers leaves the numbers where the configuration says, and on the daemon's board.
func (t *teller) keepNumbers(ctx context.Context) (failed []error) {
	var names []string
	for _, s := range t.c.Sources {
		names = append(names, s.Name)
	}
	if t.set.Empty() {
		return nil
	}
	if path := t.c.TextfilePath(); path != "" {
		if err := metrics.Update(context.WithoutCancel(ctx), path, t.c.State, &t.set, names); err != nil {
			failed = append(failed, fmt.Errorf("the numbers were not written to %s: %w", path, err))
		}
	}
	if t.e.board != nil {
		if err := t.e.board.Update(&t.set, names); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}
