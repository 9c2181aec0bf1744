package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"farshore/agent/config"
	"farshore/agent/metrics"
	"farshore/agent/notify"
)

// outcomeOf is what a failure means to people; nil is success.
func outcomeOf(f *failure) notify.Outcome {
	switch {
	case f == nil:
		return notify.Success
	case f.exit == exitDamage, f.code == codeSuspicious:
		return notify.Alarm
	case f.exit == exitIncomplete:
		return notify.Warning
	}
	return notify.Failure
}

// event is what every event has. Only Source and Detail of it have names in them.
func (t *teller) event(kind notify.Kind, subject, name string, f *failure) notify.Event {
	ev := notify.Event{Kind: kind, Outcome: outcomeOf(f), Subject: subject, Source: name, Vault: brief(t.vaultID), Time: t.e.now()}
	if f == nil {
		ev.Text = "It ended without any failure."
		return ev
	}
	ev.Code, ev.Exit, ev.Detail = f.code, f.exit, joined(f.Error(), f.hint)
	ev.Text = adviceOf(kind, f)
	return ev
}

// adviceOf says what happened and what to do, in words that name nothing.
func adviceOf(kind notify.Kind, f *failure) string {
	switch {
	case f.code == codeSuspicious:
		return "A snapshot looks like an attack on the source. What is restored when nobody says when is the last one before it. Run `farshore snapshots` on the agent's machine, and look for who did this."
	case f.code == codeUnprotected:
		return "UNPROTECTED: the agent's credential may destroy what the vault holds. Nothing was written. `farshore probe` says what was permitted."
	case f.code == codeLate:
		return "The newest good snapshot of a source is older than it may be (max_age). `farshore status` on the agent's machine says what its passes came to."
	case f.code == codeUnproven:
		return "It is not proven that the agent's credential can only add. `farshore probe` says what was tried."
	case f.exit == exitDamage && kind == notify.Audit:
		return "Stored objects are damaged, missing, or were tampered with. `farshore report show` says which snapshots are hit, and what can make it good."
	case f.exit == exitDamage:
		return "Damage or tampering was seen in the vault. `farshore verify` says more."
	case f.exit == exitIncomplete:
		return "It ended, and not all of it could be done or proven. The command's own output says what."
	}
	return "It FAILED. The command's own output says why."
}

// subjectOf says which source it is without its name.
func (t *teller) subjectOf(name string) string {
	i := slices.IndexFunc(t.c.Sources, func(s config.Source) bool { return s.Name == name })
	if i < 0 {
		return "a source that is not in the configuration"
	}
	return fmt.Sprintf("source %d of %d", i+1, len(t.c.Sources))
}

// passFields are the numbers of a pass.
func passFields(r *passResult) []notify.Field {
	if r.Source == "" {
		return nil
	}
	out := []notify.Field{{Name: "complete", Value: strconv.FormatBool(r.Complete)}}
	add := func(name, value string) { out = append(out, notify.Field{Name: name, Value: value}) }
	if r.Seq > 0 {
		add("snapshot", strconv.FormatInt(r.Seq, 10))
		add("chain", brief(r.Chain))
	}
	add("listed", formatCount(r.Listed))
	add("new", formatCount(r.New))
	add("changed", formatCount(r.Changed))
	add("deleted", formatCount(r.Deleted))
	for _, reason := range sortedKeys(r.Unreadable) {
		add("unreadable: "+reason, formatCount(r.Unreadable[reason]))
	}
	add("captured", formatBytes(r.ReadBytes))
	if k := r.ReadBack; k != nil {
		add("read back", fmt.Sprintf("%s of %s", formatBytes(k.Bytes), formatBytes(k.OfBytes)))
	}
	add("took", formatDuration(time.Duration(r.Seconds*float64(time.Second))))
	return out
}

// measurePass sets the numbers of a pass.
func (t *teller) measurePass(name string, r *passResult, exit int) {
	s := &t.set
	s.Replace(metrics.Pass, name)
	s.PutTime("farshore_last_pass_timestamp_seconds", t.e.now(), name)
	s.Put("farshore_pass_success", metrics.Flag(exit == exitDone), name)
	s.Put("farshore_pass_exit_code", float64(exit), name)
	s.Put("farshore_pass_suspicious", metrics.Flag(len(r.Suspicious) > 0), name)
	if r.Source == "" {
		return
	}
	if r.Complete {
		s.PutTime("farshore_last_complete_snapshot_timestamp_seconds", r.at, name)
	}
	var unreadable int64
	for _, n := range r.Unreadable {
		unreadable += n
	}
	for _, k := range []struct {
		result string
		n      int64
	}{{"listed", r.Listed}, {"new", r.New}, {"changed", r.Changed}, {"deleted", r.Deleted}, {"unreadable", unreadable}} {
		s.Put("farshore_pass_items", float64(k.n), name, k.result)
	}
	s.Put("farshore_pass_duration_seconds", r.Seconds, name)
	s.Put("farshore_pass_captured_bytes", float64(r.ReadBytes), name)
	s.Put("farshore_pass_stored_bytes", float64(r.StoredBytes), name)
	var back int64
	if r.ReadBack != nil {
		back = r.ReadBack.Bytes
	}
	s.Put("farshore_pass_read_back_bytes", float64(back), name)
}
