package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"farshore/agent/sidefile"
)

// Files in the directory of local state, and their bounds.
const (
	memoryFile = "notify.json"
	memoryLock = "notify.lock"
	maxMemory  = 4 << 20
	maxTold    = 10_000
	// forgetAfter is when what was told is forgotten, unless it is still bad.
	forgetAfter = 90 * 24 * time.Hour
)

// How often the same is told again: a warning daily, what is worse hourly. After it was well in between it is news, at most hourly.
const (
	againWarning = 24 * time.Hour
	againOther   = time.Hour
)

// topic is what messages are about: the source's name, or "" of what concerns all.
type topic struct {
	Channel string `json:"channel"`
	Kind    Kind   `json:"kind"`
	Source  string `json:"source,omitempty"`
}

// told is what a channel was told of a topic.
type told struct {
	topic
	// Bad is true from something bad that was told until it was told that it is well again.
	Bad bool `json:"bad"`
	// Times are when each outcome and code was told last, Well when it was told that it is well again.
	Times map[string]time.Time `json:"times,omitempty"`
	Well  time.Time            `json:"well,omitzero"`
}

// memory is what was told, by one-shot runs one after the other or at the same time. Losing it costs a message that comes twice.
type memory struct {
	Farshore string `json:"farshore"`
	Version  int    `json:"version"`
	Told     []told `json:"told"`
}

// keep is a memory's directory; "" remembers nothing.
type keep string

// fingerprint tells apart what is told of a topic.
func fingerprint(e *Event) string { return string(e.Outcome) + " " + e.Code }

// decide says whether a channel is told now, and whether that is a recovery. wants is whether it asked for this outcome.
func (t *told) decide(e *Event, wants bool, now time.Time) (send, recovered bool) {
	if e.Outcome == Success {
		return t.Bad || wants && !e.Quiet, t.Bad
	}
	if !wants {
		return false, false
	}
	last := t.Times[fingerprint(e)]
	every := againOther
	if e.Outcome == Warning && !t.Well.After(last) {
		every = againWarning
	}
	// A time in the future is of a clock that was wrong: then and now it is better told twice.
	return last.IsZero() || last.After(now) || now.Sub(last) >= every, false
}

// sent notes that a channel was told.
func (t *told) sent(e *Event, now time.Time) {
	if e.Outcome == Success {
		t.Bad, t.Well = false, now
		return
	}
	if t.Times == nil {
		t.Times = map[string]time.Time{}
	}
	t.Bad = true
	t.Times[fingerprint(e)] = now
}

// newest is when a channel was last told of the topic.
func (t *told) newest() time.Time {
	out := t.Well
	for _, at := range t.Times {
		if at.After(out) {
			out = at
		}
	}
	return out
}

// of returns what was told of a topic; nothing for one that is new.
func (m *memory) of(k topic) *told {
	if i := slices.IndexFunc(m.Told, func(t told) bool { return t.topic == k }); i >= 0 {
		return &m.Told[i]
	}
	m.Told = append(m.Told, told{topic: k})
	return &m.Told[len(m.Told)-1]
}

// prune forgets what is long over, and the oldest of too much.
func (m *memory) prune(now time.Time) {
	m.Told = slices.DeleteFunc(m.Told, func(t told) bool { return !t.Bad && now.Sub(t.newest()) > forgetAfter })
	for i := range m.Told {
		maps.DeleteFunc(m.Told[i].Times, func(_ string, at time.Time) bool { return now.Sub(at) > forgetAfter })
	}
	if more := len(m.Told) - maxTold; more > 0 {
		slices.SortStableFunc(m.Told, func(a, b told) int { return a.newest().Compare(b.newest()) })
		m.Told = m.Told[more:]
	}
}

// read returns what was told. A file that is lost, or not what this program writes, says nothing, so that everything is told; the error says so.
func (k keep) read() (*memory, error) {
	empty := &memory{Farshore: "notify", Version: 1}
	if k == "" {
		return empty, nil
	}
	data, err := sidefile.Read(filepath.Join(string(k), memoryFile), maxMemory)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	m := new(memory)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(data))
		err = dec.Decode(m)
	}
	switch {
	case err == nil && m.Farshore == "notify" && m.Version > 1:
		return empty, fmt.Errorf("%s: %w", memoryFile, errNewer)
	case err == nil && (m.Farshore != "notify" || m.Version != 1 || len(m.Told) > maxTold):
		err = errors.New("it is not what this program writes")
	}
	if err != nil {
		return empty, fmt.Errorf("what was told before is not known, and is told again: %s: %w", memoryFile, err)
	}
	return m, nil
}

// errNewer says that a newer version wrote the file, which is left as it is.
var errNewer = errors.New("a newer farshore wrote it")

// note remembers that a channel was told of an event, beside what other runs remember at the same time.
func (k keep) note(ctx context.Context, about topic, e *Event, now time.Time) error {
	if k == "" {
		return nil
	}
	if err := os.MkdirAll(string(k), 0o700); err != nil {
		return err
	}
	unlock, err := sidefile.Lock(ctx, filepath.Join(string(k), memoryLock))
	if err != nil {
		return err
	}
	defer unlock()
	m, err := k.read()
	if errors.Is(err, errNewer) {
		return err
	}
	m.of(about).sent(e, now)
	m.prune(now)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return sidefile.Replace(filepath.Join(string(k), memoryFile), append(data, '\n'), 0o600)
}
