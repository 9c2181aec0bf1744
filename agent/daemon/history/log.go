package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"farshore/agent/sidefile"
)

const (
	// MaxRuns is how many runs are kept, beside the last good one of each source and the last ones of each job: with 20 sources each hour, six weeks.
	MaxRuns = 20_000
	// slack is how many more there may be before those that are too many go: what is written anew is written seldom.
	slack = MaxRuns / 10
	// MaxFile bounds the file in bytes, as long as what is kept whatever the bounds takes less than half of that.
	MaxFile = 64 << 20

	fileName = "history.jsonl"
	lockName = "daemon.lock"
)

// ErrBusy says that another daemon works with the same state.
var ErrBusy = errors.New("another daemon works with the same state")

// Log is the file of runs, and what of it is in memory. It may be used concurrently; no reader waits for a disk.
type Log struct {
	path    string
	dropped int
	unlock  func()

	// writing is held while the file is written. It is taken before mu.
	writing sync.Mutex
	file    handle
	size    int64
	// limit is at which size the file is written anew.
	limit int64
	// stale says that the file lacks something, or ends within a line: it is written anew before anything else is.
	stale bool

	mu   sync.Mutex
	runs book
}

// handle is the open file.
type handle interface {
	io.Writer
	Sync() error
	Close() error
}

// Open reads STATE/history.jsonl in the directory, which must be there, and keeps other daemons away from it until Close: they fail with ErrBusy. A line that is torn or strange is
// dropped and counted, and no error.
func Open(dir string) (*Log, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{path: filepath.Join(dir, fileName), unlock: unlock}
	if err := l.load(); err != nil {
		unlock()
		return nil, fmt.Errorf("history: %w", err)
	}
	return l, nil
}

// lock tries once: whoever holds it, holds it for as long as it runs.
func lock(dir string) (func(), error) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	unlock, err := sidefile.Lock(over, filepath.Join(dir, lockName))
	if errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("%w (%s): stop it first, or give this one a state directory of its own", ErrBusy, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return unlock, nil
}

func (l *Log) load() error {
	f, err := openFile(l.path)
	if errors.Is(err, os.ErrNotExist) {
		if err = sidefile.Replace(l.path, nil, 0o600); err == nil { // its directory remembers it after a power cut, too
			f, err = openFile(l.path)
		}
	}
	if err != nil {
		return err
	}
	l.file = f
	if l.size, l.dropped, err = l.runs.read(f); err != nil {
		return errors.Join(err, f.Close())
	}
	l.limit = MaxFile
	l.stale = l.dropped > 0
	if many := l.runs.trim() > 0; many || l.stale || l.size > MaxFile {
		_ = l.compact() // a full disk keeps no daemon from its work: it is tried again before the next write
	}
	return nil
}

// openFile opens the file for appending. It follows no symbolic link, and waits for no reader of a pipe.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is no regular file: move it away", path), err, f.Close())
	}
	return f, nil
}

// Dropped is how many lines of the file were torn or strange when it was opened.
func (l *Log) Dropped() int { return l.dropped }

// Begin remembers that a run began: Ended counts as zero. Where it can't be written, it is remembered in memory, and written with the next one that can be.
func (l *Log) Begin(r Run) error {
	r.Ended = time.Time{}
	return l.add(r)
}

// End remembers how a run ended. It takes the place of the one of the same Job and Started that began.
func (l *Log) End(r Run) error {
	if r.Ended.IsZero() {
		return fmt.Errorf("history: the run of %q has no end", r.Job)
	}
	return l.add(r)
}

func (l *Log) add(r Run) error {
	r = r.tidy()
	line, err := r.line()
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return fmt.Errorf("history: %w", os.ErrClosed)
	}
	l.mu.Lock()
	l.runs.put(r)
	many := len(l.runs.all) > MaxRuns+slack && l.runs.trim() > 0
	l.mu.Unlock()
	if l.stale || many || l.size+int64(len(line)) > l.limit {
		err = l.compact()
	} else {
		err = l.append(line)
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// append writes a line and waits until the disk has it. After a failure the file may end within a line.
func (l *Log) append(line []byte) error {
	_, err := l.file.Write(line)
	if err == nil {
		err = l.file.Sync()
	}
	l.size += int64(len(line))
	l.stale = err != nil
	return err
}

// compact writes the file anew, in one step: a line for each run that is in memory.
func (l *Log) compact() error {
	l.stale = true
	l.mu.Lock()
	data, err := l.runs.encode(MaxFile / 2)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := sidefile.Replace(l.path, data, 0o600); err != nil {
		return err
	}
	f, err := openFile(l.path)
	if err != nil {
		return err
	}
	err = l.file.Close()
	l.file, l.size, l.stale = f, int64(len(data)), false
	l.limit = max(MaxFile, 2*l.size)
	return err
}

// Close closes the file, and lets other daemons work with the state. The Log answers questions still, and remembers nothing more.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	l.unlock()
	return err
}

// Last is the newest run of a job, whether it ended or not; nil where none is known. It is a copy, and what it points to is not to be changed.
func (l *Log) Last(job string) *Run { return l.one(func(b *book) *Run { return b.last[job] }) }

// LastEnded is the newest run of a job that ended; nil where none is known. See Last.
func (l *Log) LastEnded(job string) *Run { return l.one(func(b *book) *Run { return b.ended[job] }) }

// LastGood is a source's newest run that is Good; nil where none is known. See Last.
func (l *Log) LastGood(source string) *Run {
	return l.one(func(b *book) *Run { return b.good[source] })
}

func (l *Log) one(pick func(*book) *Run) *Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := pick(&l.runs); r != nil {
		out := *r
		return &out
	}
	return nil
}

// Runs are those that began at or after since, newest first, at most that many. They are copies, and what they point to is not to be changed.
func (l *Log) Runs(since time.Time, most int) []Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Run, 0, min(max(most, 0), len(l.runs.all)))
	for _, r := range slices.Backward(l.runs.all) {
		if len(out) >= most {
			break
		}
		if !r.Started.Before(since) {
			out = append(out, *r)
		}
	}
	return out
}
