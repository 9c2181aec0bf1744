package history

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

// pass is a run over a source that began at that minute.
func pass(source string, minute int) Run {
	return Run{Job: "pass " + source, Kind: KindPass, Source: source, Cause: CauseSchedule, Started: at(minute)}
}

// ended is the same a minute later.
func ended(r Run, good bool) Run {
	r.Ended = r.Started.Add(time.Minute)
	r.Pass = &Pass{Complete: good, Chain: "c", Seq: 7, Hash: "h", At: r.Started, Listed: 9}
	if !good {
		r.Exit, r.Code, r.Text, r.Hint = 1, "failed", "the source is not there", "look for it"
	}
	return r
}

func open(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// equal holds two lists of runs to be the same, times too.
func equal(t *testing.T, what string, got, want []Run) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// TestLog holds what is asked to what was told, before and after a restart.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	if l.Last("pass shop") != nil || l.LastEnded("probe") != nil || l.LastGood("shop") != nil || len(l.Runs(time.Time{}, 10)) != 0 {
		t.Fatal("an empty log knows something")
	}
	good, bad, opened := ended(pass("shop", 0), true), ended(pass("shop", 10), false), pass("shop", 20)
	share := 0.5
	audit := Run{Job: "verify", Kind: KindAudit, Cause: CauseTrigger, Started: at(5), Ended: at(6), Audit: &Audit{Verdict: "intact", Coverage: &share}}
	probe := Run{Job: "probe", Kind: KindProbe, Cause: CauseMissed, Started: at(7), Ended: at(8), Probe: &Probe{Verdict: "protected", Expires: at(100)}}
	do(t, l.Begin(good)) // an end that it has counts as none
	do(t, l.End(good))
	do(t, l.End(audit))
	do(t, l.Begin(probe))
	do(t, l.Begin(bad))
	do(t, l.End(probe))
	do(t, l.End(bad))
	do(t, l.Begin(opened))
	for _, again := range []string{"as it was told", "after a restart"} {
		equal(t, again, l.Runs(time.Time{}, 10), []Run{opened, bad, probe, audit, good})
		equal(t, again+", since", l.Runs(at(7), 10), []Run{opened, bad, probe})
		equal(t, again+", the newest", l.Runs(time.Time{}, 2), []Run{opened, bad})
		equal(t, again+", none", l.Runs(time.Time{}, -1), nil)
		equal(t, again+", one", []Run{*l.Last("pass shop"), *l.LastEnded("pass shop"), *l.LastGood("shop"), *l.Last("verify"), *l.LastEnded("probe")}, []Run{opened, bad, good, audit, probe})
		do(t, l.Close())
		l = open(t, dir)
	}
	if l.Dropped() != 0 {
		t.Errorf("%d lines were dropped", l.Dropped())
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestCopies holds that nobody who tells or asks something can change what is remembered, and that times are UTC.
func TestCopies(t *testing.T) {
	l := open(t, t.TempDir())
	r := ended(pass("shop", 0), true)
	r.Started = time.Now().In(time.FixedZone("x", 3600))
	r.Ended = r.Started.Add(time.Second)
	r.Pass.Suspicious = []string{"encrypted"}
	do(t, l.End(r))
	r.Pass.Suspicious[0], r.Pass.Seq = "changed", 8
	got := l.Last(r.Job)
	if got.Pass.Suspicious[0] != "encrypted" || got.Pass.Seq != 7 || got.Started.Location() != time.UTC || !got.Started.Equal(r.Started) || strings.Contains(got.Started.String(), "m=") {
		t.Errorf("%+v, %+v", got, got.Pass)
	}
	got.Exit = 9
	if l.Last(r.Job).Exit != 0 {
		t.Error("what was asked for is not a copy")
	}
}

// TestRefused holds that a run without what it is found by is refused, and that the rest goes on.
func TestRefused(t *testing.T) {
	l := open(t, t.TempDir())
	for name, r := range map[string]Run{
		"no job":       {Kind: KindPass, Started: start},
		"no beginning": {Job: "probe", Kind: KindProbe},
		"no kind":      {Job: "probe", Started: start},
		"long":         {Job: strings.Repeat("x", maxLine), Kind: KindPass, Started: start},
		"year":         {Job: "probe", Kind: KindProbe, Started: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := l.Begin(r); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := l.End(pass("shop", 0)); err == nil {
		t.Error("a run that did not end is taken as one that did")
	}
	do(t, l.Begin(pass("shop", 0)))
	do(t, l.Close())
	if err := l.Begin(pass("shop", 1)); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	do(t, l.Close())
}

// TestBusy holds that a state has one daemon at a time.
func TestBusy(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), dir) {
		t.Fatal(err)
	}
	do(t, l.Close())
	open(t, dir)
}

// TestNoFile holds that what is no regular file, or not to be had, is an error and left alone, and keeps no lock.
func TestNoFile(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a state that is not there was opened")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	elsewhere := filepath.Join(t.TempDir(), "x")
	do(t, os.WriteFile(elsewhere, []byte("theirs"), 0o600))
	for name, make := range map[string]func() error{
		"a link":      func() error { return os.Symlink(elsewhere, path) },
		"a directory": func() error { return os.Mkdir(path, 0o700) },
	} {
		do(t, make())
		if _, err := Open(dir); err == nil || errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
		do(t, os.Remove(path))
	}
	if data, err := os.ReadFile(elsewhere); err != nil || string(data) != "theirs" {
		t.Errorf("%q %v", data, err)
	}
	open(t, dir)
}

// TestBounds tells more than is kept: the newest stay, the last good and the last ones of each job whatever the bounds, in memory and on the disk, and a restart finds the same.
func TestBounds(t *testing.T) {
	good, last, cut := ended(pass("old", 0), true), ended(pass("old", 1), false), pass("cut", 2)
	const n = MaxRuns + slack + 50
	var file bytes.Buffer
	for i := range n - 100 {
		r := ended(pass("shop", 10+i), i%1000 == 0)
		if i < 3 {
			r = []Run{good, last, cut}[i]
		}
		line, err := r.line()
		do(t, err)
		file.Write(line)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	do(t, os.WriteFile(path, file.Bytes(), 0o600))
	l := open(t, dir)
	for i := n - 100; i < n; i++ {
		do(t, l.End(ended(pass("shop", 10+i), false)))
	}
	data, err := os.ReadFile(path)
	do(t, err)
	if lines, known := bytes.Count(data, []byte("\n")), len(l.Runs(time.Time{}, 1<<30)); lines > MaxRuns+slack+3 || known > MaxRuns+slack+3 || known < MaxRuns {
		t.Errorf("%d lines on the disk, %d runs in memory", lines, known)
	}
	for range 2 {
		equal(t, "whatever the bounds", []Run{*l.LastGood("old"), *l.LastEnded("pass old"), *l.Last("pass cut")}, []Run{good, last, cut})
		newest := l.Runs(time.Time{}, MaxRuns)
		if len(newest) != MaxRuns || !newest[0].Started.Equal(at(10+n-1)) || !newest[MaxRuns-1].Started.Equal(at(10+n-MaxRuns)) {
			t.Errorf("%d runs, from %s to %s", len(newest), newest[len(newest)-1].Started, newest[0].Started)
		}
		do(t, l.Close())
		l = open(t, dir)
	}
}

// TestSize holds that runs with long texts are bounded by their bytes, and that what is kept whatever the bounds is kept.
func TestSize(t *testing.T) {
	var b book
	good := ended(pass("old", 0), true)
	b.put(good)
	long := strings.Repeat("x", 1000)
	for i := range 1000 {
		r := ended(pass("shop", 1+i), false)
		r.Text = long
		b.put(r)
	}
	data, err := b.encode(100_000)
	do(t, err)
	if len(data) > 100_000 || len(data) < 90_000 || len(b.all) != bytes.Count(data, []byte("\n")) || b.good["old"] != b.all[0] || !b.all[len(b.all)-1].Started.Equal(at(1000)) {
		t.Errorf("%d bytes, %d runs", len(data), len(b.all))
	}
}

// TestHuge holds that of a file that is not this program's the end is read, and no more.
func TestHuge(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, fileName))
	do(t, err)
	do(t, f.Truncate(1<<40))
	_, err = f.Seek(0, 2)
	do(t, err)
	line, err := new(pass("shop", 0)).line()
	do(t, err)
	_, err = f.Write(append([]byte("\n"), line...))
	do(t, err)
	do(t, f.Close())
	l := open(t, dir)
	if l.Last("pass shop") == nil || l.Dropped() != 1 {
		t.Errorf("%d dropped", l.Dropped())
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Size() > MaxFile {
		t.Error(info.Size(), err)
	}
}

// TestConcurrent tells and asks from many sides at once.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	var all sync.WaitGroup
	for s := range 4 {
		source := fmt.Sprint("s", s)
		all.Go(func() {
			for i := range 20 {
				r := pass(source, i)
				for _, err := range []error{l.Begin(r), l.End(ended(r, true))} {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
		all.Go(func() {
			for range 100 {
				l.Last("pass " + source)
				l.LastEnded("pass " + source)
				l.LastGood(source)
				l.Runs(start, 10)
			}
		})
	}
	all.Wait()
	want := l.Runs(time.Time{}, 1000)
	do(t, l.Close())
	got := open(t, dir).Runs(time.Time{}, 1000)
	if len(got) != 80 || len(want) != 80 {
		t.Errorf("%d and %d runs", len(want), len(got))
	}
	equal(t, "after a restart", got, want)
}

// FuzzRead holds that no file keeps the log from being opened, that no more comes of it than it has lines, and that what is read is written and read the same.
func FuzzRead(f *testing.F) {
	var seed []byte
	for _, r := range story() {
		line, err := r.line()
		do(f, err)
		seed = append(seed, line...)
	}
	f.Add(seed)
	f.Add(seed[:len(seed)-5])
	f.Add([]byte(`{"job":"probe","kind":"probe","started":"0000-01-01T00:00:00+23:00"}` + "\n"))
	f.Add([]byte(`{"job":"verify","kind":"audit","started":"2026-01-01T00:00:00Z","ended":"2026-01-01T00:00:01Z","audit":{"coverage":0.5}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second book
		dropped, err := first.lines(bytes.NewReader(data))
		if err != nil || len(first.all)+dropped > bytes.Count(data, []byte("\n"))+1 {
			t.Fatalf("%d runs, %d dropped, %v", len(first.all), dropped, err)
		}
		out, err := first.encode(MaxFile)
		if err != nil {
			t.Fatal(err)
		}
		if dropped, err := second.lines(bytes.NewReader(out)); err != nil || dropped != 0 {
			t.Fatal(dropped, err)
		}
		again, err := second.encode(MaxFile)
		if err != nil || !bytes.Equal(again, out) || !reflect.DeepEqual(first.last, second.last) || !reflect.DeepEqual(first.good, second.good) || !reflect.DeepEqual(first.ended, second.ended) {
			t.Fatalf("%v\n%s\n%s", err, out, again)
		}
	})
}

func full(b *testing.B) *Log {
	l := &Log{}
	jobs := rand.New(rand.NewPCG(1, 2))
	for i := range MaxRuns {
		l.runs.put(ended(pass(fmt.Sprint("source", jobs.IntN(20)), i), i%10 != 0).tidy())
	}
	return l
}

func BenchmarkRuns(b *testing.B) {
	l := full(b)
	b.ReportAllocs()
	for b.Loop() {
		if len(l.Runs(time.Time{}, MaxRuns)) != MaxRuns {
			b.Fatal()
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	data, err := full(b).runs.encode(MaxFile)
	do(b, err)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var k book
		if dropped, err := k.lines(bytes.NewReader(data)); err != nil || dropped != 0 || len(k.all) != MaxRuns {
			b.Fatal(dropped, err)
		}
	}
}
