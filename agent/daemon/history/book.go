package history

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
)

// most is how many bytes of a file are read, from its end: one that has more is not this program's.
const most = 2 * MaxFile

// book is what is known of runs, in the order in which they began. What its maps have stays whatever the bounds.
type book struct {
	all               []*Run
	last, ended, good map[string]*Run
}

// put remembers a run, in place of one of the same job that began at the same time and has not ended. A job has no two runs at a time: that one is its last.
func (b *book) put(r Run) {
	if b.last == nil {
		b.last, b.ended, b.good = map[string]*Run{}, map[string]*Run{}, map[string]*Run{}
	}
	at := b.last[r.Job]
	if at == nil || !at.Started.Equal(r.Started) {
		at = new(Run)
		b.all = append(b.all, at)
		b.last[r.Job] = at
	} else if r.Ended.IsZero() || !at.Ended.IsZero() {
		return
	}
	*at = r
	if !r.Ended.IsZero() {
		b.ended[r.Job] = at
		if r.Good() {
			b.good[r.Source] = at
		}
	}
}

// trim lets go of the oldest runs that are more than MaxRuns, and returns how many went.
func (b *book) trim() int {
	return b.drop(func(i int) bool { return i < len(b.all)-MaxRuns })
}

// drop lets go of the runs that old names by their place, unless they stay whatever the bounds.
func (b *book) drop(old func(i int) bool) int {
	kept := make([]*Run, 0, min(len(b.all), MaxRuns+slack+1))
	for i, r := range b.all {
		if !old(i) || b.stays(r) {
			kept = append(kept, r)
		}
	}
	gone := len(b.all) - len(kept)
	b.all = kept
	return gone
}

func (b *book) stays(r *Run) bool {
	return b.last[r.Job] == r || b.ended[r.Job] == r || b.good[r.Source] == r
}

// encode writes the file: a line for each run. The oldest go until it has no more than most bytes.
func (b *book) encode(most int) ([]byte, error) {
	b.trim()
	lines, size := make([][]byte, len(b.all)), 0
	for i, r := range b.all {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		lines[i], size = line, size+len(line)
	}
	if size > most {
		gone := 0
		for ; gone < len(lines) && size > most; gone++ {
			if !b.stays(b.all[gone]) {
				size -= len(lines[gone])
				lines[gone] = nil
			}
		}
		b.drop(func(i int) bool { return i < gone })
	}
	return bytes.Join(lines, nil), nil
}

// read reads a file. It returns the file's size, and how many of its lines were torn, too long or strange.
func (b *book) read(f *os.File) (size int64, dropped int, err error) {
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, 0, err
	}
	if _, err = f.Seek(max(0, size-most), io.SeekStart); err != nil {
		return 0, 0, err
	}
	dropped, err = b.lines(io.LimitReader(f, most))
	return size, dropped, err
}

func (b *book) lines(f io.Reader) (dropped int, err error) {
	in := bufio.NewReaderSize(f, maxLine)
	for {
		line, err := nextLine(in)
		if r, ok := parse(line); ok {
			b.put(r)
			if len(b.all) > MaxRuns+slack {
				b.trim()
			}
		} else if len(line) > 0 {
			dropped++
		}
		if errors.Is(err, io.EOF) {
			return dropped, nil
		}
		if err != nil {
			return dropped, err
		}
	}
}

// nextLine returns the next line with what ends it, or as much of it as maxLine where it is longer. The line is good until the next call.
func nextLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	line = bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	return line, err
}
