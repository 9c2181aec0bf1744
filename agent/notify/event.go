// Package notify tells people and their services what came of a pass or an audit: by webhooks, by email, through chat and paging services, and by pings to a dead man's
// switch. Nothing that it does makes a pass fail, and every wait in it has a deadline. What is sent has no secret in it, and no name of a source or an item unless the channel
// may have names. Addresses of webhooks are secrets: its errors are made of a closed set of words, so that nothing of an address or of an answer can be in them.
package notify

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Kind is what an event is about.
type Kind string

// Kinds of events.
const (
	Pass  Kind = "pass"
	Audit Kind = "audit"
	Probe Kind = "probe"
	Drill Kind = "drill"
	Late  Kind = "late" // of a source whose newest good snapshot is older than it may be
	Unit  Kind = "unit" // of a unit of systemd that failed
	Test  Kind = "test" // goes to every channel
)

// Outcome is what came of it.
type Outcome string

// Outcomes of an event, from good to bad.
const (
	Success Outcome = "success"
	Warning Outcome = "warning"
	Failure Outcome = "failure"
	Alarm   Outcome = "alarm"
)

// Event is something to tell. Only Source and Detail may hold names of sources and items, paths, addresses and texts of errors: nothing of them leaves on a channel without
// names.
type Event struct {
	Kind    Kind
	Outcome Outcome
	// Subject is what it is about without a name, such as "source 2 of 3".
	Subject string
	// Vault is the beginning of the vault's id, "" where it is not known.
	Vault string
	// Text says what came of it and what to do, without a name.
	Text   string
	Fields []Field
	Source string
	Detail string
	// Code is the error's code and Exit the command's exit code.
	Code string
	Exit int
	Time time.Time
	// Quiet events are of use only after a bad one that was told: that it is well again.
	Quiet bool
}

// Field is a number or word of an event, in an order that suits people.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bounds of a message.
const (
	maxLine   = 200
	maxText   = 4096
	maxFields = 32
)

// Message is an event as one channel may have it. Its JSON is the body of a webhook.
type Message struct {
	Schema string `json:"schema"` // farshore.event/1
	// ID is random, and the same in every attempt to send the message.
	ID      string  `json:"id"`
	Time    string  `json:"time"`
	Kind    Kind    `json:"kind"`
	Outcome Outcome `json:"outcome"`
	// Recovered says that what was told before is over.
	Recovered bool    `json:"recovered"`
	Vault     string  `json:"vault,omitempty"`
	Subject   string  `json:"subject,omitempty"`
	Source    string  `json:"source,omitempty"`
	Title     string  `json:"title"`
	Text      string  `json:"text,omitempty"`
	Detail    string  `json:"detail,omitempty"`
	Code      string  `json:"code,omitempty"`
	Exit      int     `json:"exit"`
	Fields    []Field `json:"fields,omitempty"`
}

// message is what leaves: without names unless they may.
func (e *Event) message(names, recovered bool) *Message {
	m := &Message{
		Schema: "farshore.event/1", ID: randomID(), Time: e.Time.UTC().Format(time.RFC3339), Kind: e.Kind, Outcome: e.Outcome, Recovered: recovered,
		Vault: line(e.Vault), Subject: line(e.Subject), Text: text(e.Text), Code: line(e.Code), Exit: e.Exit,
	}
	for i, f := range e.Fields {
		if i == maxFields {
			break
		}
		m.Fields = append(m.Fields, Field{line(f.Name), line(f.Value)})
	}
	about := m.Subject
	if names {
		m.Source, m.Detail = line(e.Source), text(e.Detail)
		if m.Source != "" {
			about = m.Source
		}
	}
	m.Title = line("farshore: " + titleOf(e, recovered, about))
	return m
}

// titleOf says in a line what came of it.
func titleOf(e *Event, recovered bool, about string) string {
	what := string(e.Kind)
	switch {
	case about == "":
	case e.Kind == Unit:
		what += " " + about
	default:
		what += " of " + about
	}
	switch {
	case e.Kind == Late && (recovered || e.Outcome == Success):
		return about + " is not late any more"
	case e.Kind == Late:
		return about + " is LATE"
	case recovered:
		return what + " is well again"
	case e.Kind == Test:
		return "this is a test"
	case e.Outcome == Alarm:
		return "ALARM: " + what
	case e.Outcome == Warning:
		return what + " ended with a warning"
	case e.Outcome == Success:
		return what + " succeeded"
	}
	return what + " FAILED"
}

// lines is a message for people.
func (m *Message) lines() string {
	var b strings.Builder
	for _, part := range []string{m.Text, m.Detail} {
		if part != "" {
			b.WriteString(part + "\n\n")
		}
	}
	if m.Subject != "" && m.Source != "" {
		fmt.Fprintf(&b, "subject: %s\n", m.Subject)
	}
	for _, f := range m.Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	if m.Vault != "" {
		fmt.Fprintf(&b, "vault: %s\n", m.Vault)
	}
	if m.Code != "" {
		fmt.Fprintf(&b, "code: %s\n", m.Code)
	}
	fmt.Fprintf(&b, "exit code: %d\ntime: %s\n", m.Exit, m.Time)
	return b.String()
}

// line makes one bounded line of a text, without what could move a cursor or end a header.
func line(s string) string {
	return cut(strings.Join(strings.Fields(clean(s, false)), " "), maxLine)
}

// text bounds a text and takes out of it what could move a cursor; ends of lines stay.
func text(s string) string { return cut(strings.TrimSpace(clean(s, true)), maxText) }

func clean(s string, ends bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && ends, unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
}

// cut keeps at most that many bytes of a text, and no half of a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const more = "…"
	return strings.ToValidUTF8(s[:most-len(more)], "") + more
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
