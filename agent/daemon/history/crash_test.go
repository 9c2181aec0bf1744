package history

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// story is what a daemon tells in a while, as one of many.
func story() (steps []Run) {
	for i, good := range []bool{true, false, true} {
		for _, source := range []string{"shop", "logs"} {
			r := pass(source, 10*i)
			steps = append(steps, r, ended(r, good))
		}
	}
	return append(steps, pass("shop", 40))
}

// tell tells a step to a log.
func tell(l *Log, r Run) error {
	if r.Ended.IsZero() {
		return l.Begin(r)
	}
	return l.End(r)
}

// cuts tells a story to a log, and returns the file with what is known of it by its size after each step.
func cuts(t *testing.T) (data []byte, whole map[int][]Run) {
	dir := t.TempDir()
	l := open(t, dir)
	whole = map[int][]Run{0: nil}
	for _, r := range story() {
		do(t, tell(l, r))
		var err error
		data, err = os.ReadFile(filepath.Join(dir, fileName))
		do(t, err)
		whole[len(data)] = l.Runs(time.Time{}, 100)
	}
	return data, whole
}

// TestCutAnywhere cuts the file at each byte, as a power cut may: all whole lines are kept, and no more than one is dropped.
func TestCutAnywhere(t *testing.T) {
	data, whole := cuts(t)
	last := 0
	for cut := range len(data) + 1 {
		if whole[cut] != nil {
			last = cut
		}
		var l Log
		torn, err := l.runs.lines(bytes.NewReader(data[:cut]))
		if err != nil || torn > 1 || (torn == 1) != (cut != last) {
			t.Fatalf("cut at %d: %d lines were dropped, %v", cut, torn, err)
		}
		equal(t, fmt.Sprint("cut at ", cut), l.Runs(time.Time{}, 100), whole[last])
	}
}

// TestAfterCut cuts the file at each byte of its last line: it opens, and what is told from then on is kept beside all whole lines.
func TestAfterCut(t *testing.T) {
	data, whole := cuts(t)
	next := ended(pass("next", 99), true)
	var known []Run
	for cut := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1; cut <= len(data); cut++ {
		if whole[cut] != nil {
			known = whole[cut]
		}
		dir := t.TempDir()
		do(t, os.WriteFile(filepath.Join(dir, fileName), data[:cut], 0o600))
		for range 2 { // the second time it finds what the first one told
			l := open(t, dir)
			do(t, l.End(next))
			equal(t, fmt.Sprint("told after a cut at ", cut), l.Runs(time.Time{}, 100), append([]Run{next}, known...))
			do(t, l.Close())
		}
		if l := open(t, dir); l.Dropped() != 0 {
			t.Fatalf("cut at %d: the next run was written behind a torn line", cut)
		}
	}
}

// TestStrangeLines holds that a line that is not this program's costs itself alone, and is gone when the file is written anew.
func TestStrangeLines(t *testing.T) {
	good, err := new(ended(pass("shop", 0), true)).line()
	do(t, err)
	for name, line := range map[string]string{
		"bytes": "\x00\xff", "empty": "", "array": "[1]", "null": "null", "other": `{"a":1}`, "kind": strings.Replace(strings.TrimSpace(string(good)), `"pass"`, `"feast"`, 1), "two": "{}{}",
		"year": `{"job":"probe","kind":"probe","started":"0000-01-01T00:00:00+23:00"}`, "long": `{"job":"` + strings.Repeat("x", 2*maxLine) + `"}`, "number": `{"job":7}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, fileName)
		do(t, os.WriteFile(path, []byte(line+"\n"+string(good)+line+"\n"), 0o600))
		l := open(t, dir)
		if l.Dropped() != 2 || len(l.Runs(time.Time{}, 10)) != 1 {
			t.Errorf("%s: %d dropped, %d kept", name, l.Dropped(), len(l.Runs(time.Time{}, 10)))
		}
		do(t, l.Close())
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, good) {
			t.Errorf("%s is still there: %.100q %v", name, data, err)
		}
	}
}

// TestLeftover holds that what a power cut left of a file that was being written anew is no obstacle.
func TestLeftover(t *testing.T) {
	dir := t.TempDir()
	do(t, os.WriteFile(filepath.Join(dir, "."+fileName+".new"), []byte("{"), 0o600))
	do(t, os.WriteFile(filepath.Join(dir, fileName), []byte("{"), 0o600))
	l := open(t, dir)
	do(t, l.Begin(pass("shop", 0)))
	do(t, l.Close())
	if l = open(t, dir); len(l.Runs(time.Time{}, 10)) != 1 || l.Dropped() != 0 {
		t.Error("not kept")
	}
}

// TestTexts holds that texts of any length and bytes are kept as far as there is room.
func TestTexts(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	odd := strings.Repeat("\x00é\xff", 3000)
	r := ended(pass("shop", 0), false)
	r.Code, r.Text, r.Hint = odd, odd, odd
	r.Pass.Suspicious = make([]string, 100)
	for i := range r.Pass.Suspicious {
		r.Pass.Suspicious[i] = odd
	}
	r.Audit, r.Probe = &Audit{Line: odd}, &Probe{Words: odd}
	do(t, l.End(r))
	want := l.Runs(time.Time{}, 1)
	if n := len(want[0].Text); n > maxText || n < maxText-8 || len(want[0].Pass.Suspicious) != maxReasons || !strings.HasSuffix(want[0].Text, "…") {
		t.Errorf("%d bytes of a text, %d reasons", n, len(want[0].Pass.Suspicious))
	}
	do(t, l.Close())
	equal(t, "after a restart", open(t, dir).Runs(time.Time{}, 1), want)
}

// broken is a file of which the n-th write or sync fails, a write halfway. It notes what is done.
type broken struct {
	*os.File
	left int
	did  []string
}

var errDisk = errors.New("the disk is full")

func (b *broken) fails(what string) bool {
	b.did = append(b.did, what)
	b.left--
	return b.left == 0
}

func (b *broken) Write(p []byte) (int, error) {
	if b.fails("write") {
		n, _ := b.File.Write(p[:len(p)/2])
		return n, errDisk
	}
	return b.File.Write(p)
}

func (b *broken) Sync() error {
	if b.fails("sync") {
		return errDisk
	}
	return b.File.Sync()
}

// TestDiskFull makes each write and each sync fail in turn: it is said, nothing is forgotten, and the next that succeeds puts all of it on the disk.
func TestDiskFull(t *testing.T) {
	steps := story()
	for fail := 1; fail <= 2*len(steps)-2; fail++ {
		dir := t.TempDir()
		l := open(t, dir)
		file := &broken{File: l.file.(*os.File), left: fail}
		l.file = file
		failed := 0
		for _, r := range steps {
			if err := tell(l, r); err != nil {
				if !errors.Is(err, errDisk) {
					t.Fatal(err)
				}
				failed++
			}
		}
		if failed != 1 {
			t.Fatalf("operation %d: %d steps failed", fail, failed)
		}
		want := l.Runs(time.Time{}, 100)
		do(t, l.Close())
		l = open(t, dir)
		equal(t, fmt.Sprint("operation ", fail), l.Runs(time.Time{}, 100), want)
		if l.Dropped() != 0 {
			t.Errorf("operation %d: %d lines are torn", fail, l.Dropped())
		}
		do(t, l.Close())
	}
}

// TestSynced holds that each step is one write and one sync.
func TestSynced(t *testing.T) {
	l := open(t, t.TempDir())
	file := &broken{File: l.file.(*os.File)}
	l.file = file
	for _, r := range story()[:2] {
		do(t, tell(l, r))
	}
	if got := fmt.Sprint(file.did); got != "[write sync write sync]" {
		t.Error(got)
	}
}
