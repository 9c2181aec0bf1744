package census

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"farshore/agent/repo/tempdir"
)

// scratchPrefix begins the names of the folders that scratch files are in.
const scratchPrefix = "farshore-census-"

// file is what is asked of a scratch file.
type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// scratch makes files in a folder of their own, which is made with the first of them. Safe for concurrent use.
type scratch struct {
	parent string
	create func(path string) (file, error)

	mu    sync.Mutex
	dir   *tempdir.Dir
	open  map[string]file
	next  int
	ended bool
}

func newScratch(parent string) *scratch {
	return &scratch{parent: parent, open: map[string]file{}, create: func(path string) (file, error) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}}
}

var errClosed = errors.New("the census was closed")

// file makes an empty file.
func (s *scratch) file() (f file, path string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, "", errClosed
	}
	if s.dir == nil {
		if s.dir, err = tempdir.New(s.parent, scratchPrefix); err != nil {
			return nil, "", s.failed(err)
		}
	}
	s.next++
	path = filepath.Join(s.dir.Path, strconv.Itoa(s.next))
	if f, err = s.create(path); err != nil {
		return nil, "", s.failed(err)
	}
	s.open[path] = f
	return f, path, nil
}

// failed says what it is that could not be written.
func (s *scratch) failed(err error) error {
	where := s.parent
	if where == "" {
		where = os.TempDir()
	}
	return fmt.Errorf("what the commits name does not fit into memory, and can't be sorted in a scratch file in %s: %w (--scratch names a directory on a disk that has the room)", where, err)
}

// remove removes one file.
func (s *scratch) remove(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.open[path]
	if f == nil {
		return nil
	}
	delete(s.open, path)
	return errors.Join(f.Close(), os.Remove(path))
}

// close closes all files and removes the folder.
func (s *scratch) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for path, f := range s.open {
		err = errors.Join(err, f.Close())
		delete(s.open, path)
	}
	s.ended = true
	if s.dir != nil {
		err = errors.Join(err, s.dir.Close())
		s.dir = nil
	}
	return err
}

// crcTable is of CRC-32C, which processors have an instruction for.
var crcTable = crc32.MakeTable(crc32.Castagnoli)

// block is what memory keeps of a block of a scratch file: the first bytes of its first name, and the checksum that a reader holds it to.
type block struct {
	first uint64
	sum   uint32
}

// writer writes entries in order to a scratch file, block by block.
type writer struct {
	s     *scratch
	t     *table
	buf   []byte
	first uint64
}

// newWriter begins a file with so many entries a block.
func newWriter(s *scratch, per int) (*writer, error) {
	f, path, err := s.file()
	if err != nil {
		return nil, err
	}
	return &writer{s: s, t: &table{file: f, path: path, per: per}, buf: make([]byte, 0, per*entrySize)}, nil
}

func (w *writer) add(e entry) error {
	if len(w.buf) == 0 {
		w.first = binary.BigEndian.Uint64(e.name[:])
	}
	w.buf = e.append(w.buf)
	w.t.n++
	if len(w.buf) < w.t.per*entrySize {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.t.file.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return w.s.failed(err)
	}
	w.t.blocks = append(w.t.blocks, block{w.first, crc32.Checksum(w.buf, crcTable)})
	w.buf = w.buf[:0]
	return nil
}

// end writes the rest and returns what was written.
func (w *writer) end() (*table, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	return w.t, nil
}
