package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ear is a channel that hears.
type ear struct {
	mu    sync.Mutex
	heard []*Message
	fail  []error // of the first attempts
}

func (h *ear) Send(_ context.Context, m *Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.fail) > 0 {
		err := h.fail[0]
		h.fail = h.fail[1:]
		return err
	}
	h.heard = append(h.heard, m)
	return nil
}

func (h *ear) titles() (out []string) {
	for _, m := range h.heard {
		out = append(out, m.Title)
	}
	return out
}

// run is a one-shot run that tells events at a time.
func run(t *testing.T, state string, now time.Time, channels []Channel, events ...Event) []Result {
	t.Helper()
	n := New(Options{Channels: channels, State: state, Now: func() time.Time { return now }})
	for _, e := range events {
		n.Tell(t.Context(), e)
	}
	results, trouble := n.Wait()
	for _, err := range trouble {
		t.Error(err)
	}
	return results
}

// TestRates plays weeks of runs with a clock that jumps, and holds what is told to what was promised.
func TestRates(t *testing.T) {
	state, h := t.TempDir(), new(ear)
	all := []Channel{{Name: "ops", On: []Outcome{Alarm, Failure, Warning}, Sender: h}}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		after   time.Duration
		outcome Outcome
		code    string
		told    bool
	}{
		{0, Success, "", false},
		{0, Warning, "incomplete", true},
		{23 * time.Hour, Warning, "incomplete", false},
		{23 * time.Hour, Warning, "unproven", true}, // another one
		{24 * time.Hour, Warning, "incomplete", true},
		{24 * time.Hour, Alarm, "damage", true},
		{24*time.Hour + 59*time.Minute, Alarm, "damage", false},
		{25 * time.Hour, Alarm, "damage", true},
		{26 * time.Hour, Success, "", true}, // it is well again
		{26 * time.Hour, Success, "", false},
		{26*time.Hour + time.Minute, Warning, "incomplete", true}, // news, though it was told two hours before
		{26*time.Hour + 2*time.Minute, Success, "", true},
		{26*time.Hour + 3*time.Minute, Warning, "incomplete", false}, // flapping: at most hourly
		{26*time.Hour + 4*time.Minute, Success, "", false},           // and nothing that was told is over
		{10 * time.Hour, Alarm, "damage", true},                      // the clock was set back: better twice
		{300 * 24 * time.Hour, Alarm, "damage", true},
	} {
		before := len(h.heard)
		e := base
		e.Outcome, e.Code = step.outcome, step.code
		results := run(t, state, begin.Add(step.after), all, e)
		if told := len(h.heard) > before; told != step.told {
			t.Errorf("step %d: told %v, want %v", i, told, step.told)
		}
		if held := len(results) == 1 && results[0].Held; held != (!step.told && step.outcome != Success) {
			t.Errorf("step %d: %+v", i, results)
		}
	}
	if got := strings.Join(h.titles(), "\n"); strings.Count(got, "is well again") != 2 {
		t.Error(got)
	}
}

// TestQuiet holds that a quiet success only says that something told is over.
func TestQuiet(t *testing.T) {
	state, h := t.TempDir(), new(ear)
	all := []Channel{{Name: "ops", On: []Outcome{Alarm, Success}, Sender: h}}
	good, bad := base, base
	good.Outcome, good.Quiet, bad.Outcome = Success, true, Alarm
	now := time.Now()
	run(t, state, now, all, good)
	run(t, state, now, all, bad)
	run(t, state, now, all, good)
	run(t, state, now, all, good)
	if got := strings.Join(h.titles(), "|"); got != "farshore: ALARM: pass of source 2 of 3|farshore: pass of source 2 of 3 is well again" {
		t.Error(got)
	}
}

// TestUnsent holds that what was not sent is not taken for told.
func TestUnsent(t *testing.T) {
	state := t.TempDir()
	h := &ear{fail: []error{errors.New("no")}}
	all := []Channel{{Name: "ops", On: []Outcome{Failure}, Sender: h}}
	now := time.Now()
	if r := run(t, state, now, all, base); r[0].Sent || r[0].Err == nil {
		t.Errorf("%+v", r)
	}
	if r := run(t, state, now, all, base); !r[0].Sent {
		t.Errorf("%+v", r)
	}
}

// TestBadMemory holds that a file which can't be read makes nobody silent, and is mended; one of a newer version is left as it is.
func TestBadMemory(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "torn": `{"farshore":"notify","ver`, "other": `{"farshore":"seen","version":1}`, "null": "null", "huge": strings.Repeat(" ", maxMemory+1),
		"future": `{"farshore":"notify","version":1,"told":[{"channel":"ops","kind":"pass","source":"marked-source","times":{"failure denied":"2990-01-01T00:00:00Z"}}]}`,
		"newer":  `{"farshore":"notify","version":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			state, h := t.TempDir(), new(ear)
			path := filepath.Join(state, memoryFile)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			all := []Channel{{Name: "ops", On: []Outcome{Failure}, Sender: h}}
			for range 2 {
				n := New(Options{Channels: all, State: state})
				n.Tell(t.Context(), base)
				n.Wait()
			}
			want := 1
			if name == "newer" {
				want = 2
				if got, _ := os.ReadFile(path); string(got) != content {
					t.Errorf("the newer file was replaced: %s", got)
				}
			}
			if len(h.heard) != want {
				t.Errorf("told %d times, want %d", len(h.heard), want)
			}
		})
	}
}

// TestTwoRuns holds that runs at the same time lose nothing of what each other told.
func TestTwoRuns(t *testing.T) {
	state := t.TempDir()
	now := time.Now()
	var all sync.WaitGroup
	const runs = 24
	for i := range runs {
		all.Go(func() {
			e := base
			e.Source = fmt.Sprintf("s%d", i)
			tell := func() error {
				n := New(Options{Channels: []Channel{{Name: "ops", On: []Outcome{Failure}, Sender: new(ear)}}, State: state, Now: func() time.Time { return now }})
				n.Tell(context.Background(), e)
				_, trouble := n.Wait()
				return errors.Join(trouble...)
			}
			err := tell()
			for errors.Is(err, context.DeadlineExceeded) { // a slow disk's
				err = tell()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	m, err := keep(state).read()
	if err != nil || len(m.Told) != runs {
		t.Errorf("%d of %d are remembered: %v", len(m.Told), runs, err)
	}
}

// TestPrune holds the file to its bound, and what is still bad to be remembered.
func TestPrune(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := &memory{}
	for i := range 20 {
		m.of(topic{"ops", Pass, fmt.Sprint(i)}).Times = map[string]time.Time{"x": now}
	}
	m.Told[0].Times["x"] = now.Add(-100 * 24 * time.Hour)
	m.Told[1].Times["x"], m.Told[1].Bad = now.Add(-100*24*time.Hour), true
	before := len(m.Told)
	m.prune(now)
	if len(m.Told) != before-1 || m.Told[0].Source != "1" {
		t.Errorf("%d of %d, first %+v", len(m.Told), before, m.Told[0])
	}
	many := &memory{Told: make([]told, maxTold+10)}
	for i := range many.Told {
		many.Told[i].Well = now.Add(time.Duration(i))
	}
	many.prune(now)
	if len(many.Told) != maxTold || !many.Told[0].Well.Equal(now.Add(10)) {
		t.Errorf("%d are left", len(many.Told))
	}
}

// TestAttempts holds the attempts, their pauses and their end, with a clock of the test's own.
func TestAttempts(t *testing.T) {
	again, never := &Fault{"again", true}, &Fault{"never", false}
	for name, tt := range map[string]struct {
		fail []error
		sent bool
		took time.Duration
	}{
		"first":  {nil, true, 0},
		"second": {[]error{again}, true, time.Second},
		"third":  {[]error{again, again}, true, 5 * time.Second},
		"given":  {[]error{again, again, again}, false, 5 * time.Second},
		"never":  {[]error{never}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				n := New(Options{Channels: []Channel{{Name: "ops", On: []Outcome{Failure}, Sender: &ear{fail: tt.fail}}}})
				n.Tell(t.Context(), base)
				results, _ := n.Wait()
				if results[0].Sent != tt.sent || time.Since(begin) != tt.took {
					t.Errorf("%+v in %s", results[0], time.Since(begin))
				}
			})
		})
	}
}

// stuck never answers.
type stuck struct{}

func (stuck) Send(ctx context.Context, _ *Message) error {
	<-ctx.Done()
	return fault(ctx.Err())
}

// TestTotal holds that a hundred channels which never answer take no longer than one.
func TestTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []Channel
		for i := range 100 {
			all = append(all, Channel{Name: fmt.Sprint(i), On: []Outcome{Failure}, Sender: stuck{}})
		}
		begin := time.Now()
		n := New(Options{Channels: all})
		n.Tell(t.Context(), base)
		results, _ := n.Wait()
		if took := time.Since(begin); took > Total || len(results) != 100 {
			t.Errorf("%d results in %s", len(results), took)
		}
		for _, r := range results {
			if r.Sent || r.Err == nil {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// TestNames holds that nothing of a name leaves on a channel without names, whatever the event, and that it does on one with names.
func TestNames(t *testing.T) {
	const mark = "MARKEDNAME"
	kinds, outcomes := []Kind{Pass, Audit, Probe, Drill, Test}, []Outcome{Success, Warning, Failure, Alarm}
	for i := range len(kinds) * len(outcomes) * 5 * 2 { // all of them
		e := Event{
			Kind: kinds[i%len(kinds)], Outcome: outcomes[i/len(kinds)%len(outcomes)], Subject: "source 1 of 2", Source: mark, Detail: "could not read " + mark + "/" + mark,
			Code: "damage", Exit: i / (len(kinds) * len(outcomes)) % 5, Fields: []Field{{"new", "1"}}, Text: "words",
		}
		recovered := i/(len(kinds)*len(outcomes)*5) == 0
		m := e.message(false, recovered)
		body, _ := json.Marshal(m)
		mail, err := (&Email{From: "a@b.example", To: []string{"c@d.example"}}).body(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{string(body), string(mail), m.lines(), m.Title, harmless(m.lines())} {
			if strings.Contains(out, mark) {
				t.Fatalf("%+v leaves as %s", e, out)
			}
		}
		if with := e.message(true, recovered); !strings.Contains(with.lines()+with.Title, mark) {
			t.Fatalf("%+v with names leaves as %s", e, with.Title)
		}
	}
}

// TestBounds holds that messages are bounded, of one encoding, and that no control character gets through.
func TestBounds(t *testing.T) {
	long := strings.Repeat("ä\x1b[31m\r\nBcc: x@y\x00\xff", 10_000)
	e := Event{Kind: Pass, Outcome: Alarm, Subject: long, Vault: long, Text: long, Source: long, Detail: long, Code: long}
	for range 1000 {
		e.Fields = append(e.Fields, Field{long, long})
	}
	m := e.message(true, false)
	body, _ := json.Marshal(m)
	if len(body) > 64<<10 {
		t.Errorf("%d bytes", len(body))
	}
	for _, one := range []string{m.Title, m.Subject, m.Vault, m.Code, m.Source} {
		if len(one) > maxLine || strings.ContainsAny(one, "\r\n\x1b\x00") {
			t.Errorf("%q", one)
		}
	}
	if len(m.Text) > maxText || strings.ContainsAny(m.Text, "\r\x1b\x00") {
		t.Errorf("%d bytes: %.100q", len(m.Text), m.Text)
	}
	mail, err := (&Email{From: "a@b.example", To: []string{"c@d.example"}}).body(m)
	if head, _, ok := strings.Cut(string(mail), "\r\n\r\n"); err != nil || !ok || strings.Contains(head, "\nBcc:") {
		t.Errorf("a header was injected: %v", err)
	}
}

// TestTest holds that a test goes to every channel and is not remembered.
func TestTest(t *testing.T) {
	state, h := t.TempDir(), new(ear)
	for range 2 {
		run(t, state, time.Now(), []Channel{{Name: "ops", On: []Outcome{Alarm}, Sender: h}}, Event{Kind: Test, Outcome: Success})
	}
	if len(h.heard) != 2 {
		t.Error(h.titles())
	}
	if _, err := os.Stat(filepath.Join(state, memoryFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestMany holds that a run which fails for a thousand sources does not send a thousand messages, and that its alarms still come through.
func TestMany(t *testing.T) {
	state, h := t.TempDir(), new(ear)
	n := New(Options{Channels: []Channel{{Name: "ops", On: []Outcome{Alarm, Failure}, Sender: h}}, State: state})
	for i := range 3 * maxMessages {
		e := base
		e.Source = fmt.Sprint(i)
		n.Tell(t.Context(), e)
	}
	e := base
	e.Outcome = Alarm
	n.Tell(t.Context(), e)
	results, _ := n.Wait()
	left := 0
	for _, r := range results {
		if r.Err != nil {
			left++
		}
	}
	if len(h.heard) != maxMessages+1 || left != 2*maxMessages {
		t.Errorf("%d were told, %d left out", len(h.heard), left)
	}
}
