package web

import (
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

// tone says how something is meant: a style, and a sign beside it; never the only thing that says so.
type tone string

const (
	muted  tone = "muted"
	good   tone = "good"
	warn   tone = "warn"
	bad    tone = "bad"
	tamper tone = "tamper"
)

// rank orders tones: what is worse is higher.
func (t tone) rank() int {
	switch t {
	case good:
		return 1
	case warn:
		return 2
	case tamper:
		return 3
	case bad:
		return 4
	}
	return 0
}

// outcome is what a run came to, in the order of how much it matters.
type outcome int

const (
	noRun outcome = iota
	complete
	stopped    // by the daemon's end
	unseen     // it began, and its end was not seen
	incomplete // not all could be done or proven
	suspicious // what it stored looks like an attack on the source
	failed
	alarm // damage, tampering, or a credential that may destroy
	outcomes
)

// Exit codes of a run, as the commands have them.
const (
	exitDone       = 0
	exitIncomplete = 3
	exitDamage     = 4
)

// codeSuspicious is the code of a pass whose snapshot is marked.
const codeSuspicious = "suspicious"

func outcomeOf(r *history.Run) outcome {
	switch {
	case r.Ended.IsZero():
		return unseen
	case r.Exit == exitDamage, r.Audit != nil && (r.Audit.Verdict == verdictDamaged || r.Audit.Verdict == verdictTampered):
		return alarm
	case r.Code == codeSuspicious, r.Pass != nil && len(r.Pass.Suspicious) > 0:
		return suspicious
	case r.Stopped:
		return stopped
	case r.Exit == exitIncomplete, r.Exit == exitDone && r.Pass != nil && !r.Pass.Complete:
		return incomplete
	case r.Exit != exitDone:
		return failed
	}
	return complete
}

// word is what people read.
func (o outcome) word() string {
	return [outcomes]string{"No run", "Complete", "Stopped", "End not seen", "Incomplete", "Suspicious", "Failed", "Alarm"}[o]
}

// class names its colour and its shape.
func (o outcome) class() string {
	return [outcomes]string{"none", "complete", "stopped", "stopped", "incomplete", "suspicious", "failed", "failed"}[o]
}

func (o outcome) tone() tone {
	return [outcomes]tone{muted, good, muted, warn, warn, tamper, bad, bad}[o]
}

// took is how long a run lasted; 0 where that is not known.
func took(r *history.Run) time.Duration {
	if r.Ended.IsZero() || r.Ended.Before(r.Started) {
		return 0
	}
	return r.Ended.Sub(r.Started)
}

// current reports whether a run of the history is the one under way.
func current(r *history.Run, j *daemon.JobStatus) bool {
	return r.Ended.IsZero() && j != nil && j.Running != nil && !r.Started.Before(j.Running.Since.Add(-time.Second))
}

// Words of an audit's verdict.
const (
	verdictIntact     = "intact"
	verdictIncomplete = "incomplete"
	verdictDamaged    = "damaged"
	verdictTampered   = "tampered"
)

// verdictWord is an audit's verdict for people, and how it is meant.
func verdictWord(verdict string) (string, tone) {
	switch verdict {
	case verdictIntact:
		return "Intact", good
	case verdictIncomplete:
		return "Incomplete", warn
	case verdictDamaged:
		return "Damaged", bad
	case verdictTampered:
		return "Tampered", tamper
	case "":
		return "No verdict", muted
	}
	return "Unknown", warn // a word that this program does not have
}

// Words of a probe's verdict, and of a configuration that requires nothing.
const (
	verdictProtected   = "protected"
	verdictUnprotected = "unprotected"
	requiredNone       = "none"
)

// guard says how the agent's credential stands.
type guard struct {
	word   string
	tone   tone
	note   string
	tried  time.Time // zero: not known
	proof  *history.Probe
	advice string
}

// guardOf judges what is known of the credential: a proof that is over proves nothing.
func guardOf(p *history.Probe, j *daemon.JobStatus, c clock) guard {
	g := guard{proof: p}
	if j != nil && j.Last != nil {
		if p == nil {
			p, g.proof = j.Last.Probe, j.Last.Probe
		}
		if j.Last.Probe != nil {
			g.tried = j.Last.Ended
		}
	}
	switch {
	case p == nil:
		g.word, g.tone, g.note = "Not known yet", muted, "No proof that it can only add is known to this daemon."
		g.advice = "Run `farshore probe`."
	case p.Verdict == verdictUnprotected:
		g.word, g.tone, g.note = "UNPROTECTED", bad, "It may destroy what the vault holds."
		g.advice = "Replace it with one of the policy that `farshore policy --role writer` prints, and run `farshore probe`."
		if p.Required == requiredNone {
			g.tone, g.note = warn, "It may destroy what the vault holds, and the configuration asks for no more."
			g.advice = "Where the store can keep a credential from destroying, give the agent one of the policy that `farshore policy --role writer` prints, take `require: none` out of its configuration, and run `farshore probe`."
		}
	case p.Verdict == verdictProtected && !p.Expires.IsZero() && p.Expires.Before(c.now):
		g.word, g.tone, g.note = "UNPROVEN", warn, "That it can only add was proved until "+c.at(p.Expires)+"."
		g.advice = "Run `farshore probe`."
	case p.Verdict == verdictProtected:
		g.word, g.tone, g.note = "Protected", good, "What the probe tried that destroys, the store denied, or kept the locked original."
		if !p.Expires.IsZero() {
			g.note = "The proof holds until " + c.until(p.Expires) + "."
		}
	default:
		g.word, g.tone, g.note = "UNPROVEN", warn, "Nothing proves that it can only add."
		g.advice = "Run `farshore probe`: it says what is missing."
	}
	return g
}
