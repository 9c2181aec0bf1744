package main

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soakSample is how large the daemon is while nothing runs.
type soakSample struct {
	goroutines, threads int64
	// sockets and pipes are open descriptors of these kinds, files those of the local state, whose number its own store bounds.
	sockets, pipes, files, others int64
	// In bytes: heap is what is live on Go's heap; resident is the process's memory beside its program, with what the Go runtime keeps for later; peak is the most that it ever had, with its
	// program; state is what the local state takes on disk.
	heap, resident, peak, state int64
}

func (s soakSample) String() string {
	return fmt.Sprintf("%d goroutines, %d threads, %d sockets, %d pipes, %d files of the state, %d other descriptors; %s live heap, %s resident (peak %s); %s of local state",
		s.goroutines, s.threads, s.sockets, s.pipes, s.files, s.others, formatBytes(s.heap), formatBytes(s.resident), formatBytes(s.peak), formatBytes(s.state))
}

// The most that a figure may grow between two quiet times, whatever was done between them. Sockets and pipes may not at all: each is of a run, and none runs. A goroutine or two may be the
// local store's own, in the middle of its housekeeping. The Go runtime never gives threads back, and makes one wherever many wait for files at a time. The heap and the local state gain what
// is bounded by itself: caches, the history of runs, what is known of chunks. How much free memory the Go runtime keeps is by when it last needed it, up to all that passes had at their peak:
// what is live is what tells of a leak, and what is resident is held to that peak alone.
const (
	soakMoreGoroutines = 4
	soakMoreThreads    = 24
	soakMoreFiles      = 64
	soakMoreHeap       = 16 << 20
	soakMoreResident   = 256 << 20
	soakMoreState      = 64 << 20
)

// holds holds the daemon not to have grown.
func (s soakSample) holds(t *testing.T, late soakSample) {
	t.Helper()
	soakGrew(t, "goroutines", s.goroutines, late.goroutines, soakMoreGoroutines)
	soakGrew(t, "threads", s.threads, late.threads, soakMoreThreads)
	soakGrew(t, "sockets", s.sockets, late.sockets, 0)
	soakGrew(t, "pipes", s.pipes, late.pipes, 0)
	soakGrew(t, "files of the state", s.files, late.files, soakMoreFiles)
	soakGrew(t, "other descriptors", s.others, late.others, 0)
	soakGrew(t, "bytes of live heap", s.heap, late.heap, soakMoreHeap)
	soakGrew(t, "resident bytes", s.resident, late.resident, soakMoreResident)
	soakGrew(t, "bytes of local state", s.state, late.state, soakMoreState)
}

// measured measures the daemon at a quiet time, once idle connections are closed and garbage is collected, and holds it to have left no process and no temporary file.
func (s *soak) measured(when string) soakSample {
	s.t.Helper()
	m := s.settled()
	m.heap, m.state = s.collected(), soakSize(s.t, s.path("state"))
	m.threads, m.resident, m.peak = s.proc("Threads"), s.proc("RssAnon")<<10, s.proc("VmHWM")<<10
	if left := s.processes(); len(left) > 0 {
		s.t.Errorf("processes are left: %q", left)
	}
	for _, name := range s.temporary() {
		if !s.stale[name] {
			s.t.Errorf("a temporary file is left: %s", name)
		}
	}
	s.say("%s: %s", when, m)
	return m
}

// settled waits until the goroutines and descriptors become no fewer, and returns the fewest there were of each. It looks for longer at a time than servers keep connections that nobody
// uses. Each look adds some for a moment.
func (s *soak) settled() (fewest soakSample) {
	s.t.Helper()
	const looks, pause, most = 10, 200 * time.Millisecond, 90
	for range most {
		before := fewest
		fewest = s.look()
		for range looks {
			fewest = fewest.fewer(s.look())
			soakWait(s.t.Context(), pause)
		}
		if fewest == before {
			return fewest
		}
	}
	s.t.Errorf("goroutines and descriptors do not come to rest: %s", fewest)
	return fewest
}

// look counts goroutines and descriptors.
func (s *soak) look() (m soakSample) {
	m.goroutines = s.metric("go_goroutines")
	for _, to := range s.descriptors() {
		switch {
		case strings.HasPrefix(to, "socket:"):
			m.sockets++
		case strings.HasPrefix(to, "pipe:"):
			m.pipes++
		case strings.HasPrefix(to, s.path("state")):
			m.files++
		default:
			m.others++
		}
	}
	return m
}

// fewer is the least of both in each of what look counts.
func (s soakSample) fewer(o soakSample) soakSample {
	return soakSample{
		goroutines: min(s.goroutines, o.goroutines), sockets: min(s.sockets, o.sockets), pipes: min(s.pipes, o.pipes), files: min(s.files, o.files), others: min(s.others, o.others),
	}
}

// collected reads pages until garbage was collected twice, and returns what is live then, in bytes.
func (s *soak) collected() int64 {
	s.t.Helper()
	ctx, cancel := soakContext(s.t, 10*time.Minute) // the runtime does so by itself every other minute
	defer cancel()
	begin := s.metric("go_gc_duration_seconds_count")
	for s.metric("go_gc_duration_seconds_count") < begin+2 {
		if ctx.Err() != nil {
			s.t.Fatal("no garbage is collected")
		}
	}
	live := s.metric("go_memstats_heap_alloc_bytes")
	for range 5 {
		live = min(live, s.metric("go_memstats_heap_alloc_bytes"))
	}
	return live
}

// metric is one of the numbers at /metrics.
func (s *soak) metric(name string) int64 {
	s.t.Helper()
	ctx, cancel := soakContext(s.t, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.conf.page()+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return int64(f)
		}
	}
	s.t.Fatalf("/metrics has no %s", name)
	return 0
}

// proc is a number of the process's status.
func (s *soak) proc(name string) int64 {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	fields := strings.Fields(string(b))
	i := slices.Index(fields, name+":")
	n, err := strconv.ParseInt(fields[i+1], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// descriptors is what the process's open descriptors lead to.
func (s *soak) descriptors() []string {
	s.t.Helper()
	found, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.daemon.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, path := range found {
		if to, err := os.Readlink(path); err == nil { // it may have been closed
			all = append(all, to)
		}
	}
	return all
}

// soakSize is the size of all files below a directory.
func soakSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
