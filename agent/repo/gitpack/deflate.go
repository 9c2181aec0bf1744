package gitpack

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/flate"
)

const (
	maxLevel    = 9
	sectionSize = 64 << 10 // most bytes of data that are deflated at a time
	sectionPad  = 24       // bytes behind a section that is read back, as inflater.section wants them
)

// zlibBegin are the two bytes that begin data (RFC 1950): deflated, with a window of 32 KiB, and how strongly, as far as they can say it.
func zlibBegin(level int) [2]byte {
	switch {
	case level < 2:
		return [2]byte{0x78, 0x01}
	case level < 6:
		return [2]byte{0x78, 0x5e}
	case level == 6:
		return [2]byte{0x78, 0x9c}
	}
	return [2]byte{0x78, 0xda}
}

// deflater compresses objects' data in sections, each of which ends on a whole byte.
type deflater struct {
	z      *flate.Writer
	data   []byte // of the section
	packed []byte
}

func newDeflater(level int) (*deflater, error) {
	d := &deflater{data: make([]byte, 0, sectionSize), packed: make([]byte, 0, sectionSize+sectionSize/8)}
	var err error
	d.z, err = flate.NewWriter(d, level)
	return d, err
}

// Write takes what the section becomes.
func (d *deflater) Write(p []byte) (int, error) {
	d.packed = append(d.packed, p...)
	return len(p), nil
}

// begin begins another object's data.
func (d *deflater) begin() {
	d.data = d.data[:0]
	d.z.Reset(d)
}

// section compresses what there is. The result is valid until the next call.
func (d *deflater) section(last bool) ([]byte, error) {
	d.packed = d.packed[:0]
	if _, err := d.z.Write(d.data); err != nil {
		return nil, err
	}
	var err error
	if last {
		err = d.z.Close()
	} else {
		err = d.z.Flush()
	}
	return d.packed, err
}

// deflate takes some of an object's data, and writes whole sections.
func (o *output) deflate(p []byte) {
	for len(p) > 0 && o.err == nil {
		n := min(len(p), sectionSize-len(o.flate.data))
		o.flate.data = append(o.flate.data, p[:n]...)
		p = p[n:]
		if o.left -= int64(n); o.left == 0 || len(o.flate.data) == sectionSize {
			o.section()
		}
	}
}

// section writes a section.
func (o *output) section() {
	packed, err := o.flate.section(o.left == 0)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%w: deflate: %w", ErrKeep, err)
	}
	o.check.expectSection(len(packed), o.flate.data)
	o.write(packed)
	o.flate.data = o.flate.data[:0]
}

// deflates says that data is deflated.
func (c *checker) deflates(level int) {
	c.begin = zlibBegin(level)
	c.flate = newInflater(&buffer{buf: make([]byte, 2*sectionSize)})
	c.met = c.inflated
}

// expectSection says that the data goes on with a section of size bytes, and what stands in it.
func (c *checker) expectSection(size int, p []byte) {
	c.expectData(p)
	if c.block > 0 {
		c.state = (*checker).behind
	}
	c.block = size
}

// deflated reads a section.
func (c *checker) deflated(p []byte) (int, error) {
	if c.block == 0 {
		return 0, errors.New("its data goes on where it should end")
	}
	f, n := c.field(p, c.block)
	if f == nil {
		return n, nil
	}
	if err := c.section(f); err != nil {
		return n, err
	}
	c.block = 0
	if c.left == 0 {
		c.state = (*checker).adler
	}
	return n, nil
}

// section decompresses a section, and compares.
func (c *checker) section(f []byte) error {
	in := c.flate.in
	if len(f)+sectionPad > len(in.buf) {
		return errors.New("a section of its data is too large")
	}
	in.r, in.w, in.err = 0, copy(in.buf, f)+sectionPad, errDeflate
	clear(in.buf[len(f):in.w])
	last, err := c.flate.section(len(f))
	if err == nil && (len(c.pending) > 0 || last != (c.left == 0)) {
		err = errors.New("its data does not end where it should")
	}
	return err
}

// inflated takes data that was read back.
func (c *checker) inflated(p []byte) error {
	if len(p) > len(c.pending) || string(p) != string(c.pending[:len(p)]) {
		return errors.New("its data is not what was read")
	}
	c.pending = c.pending[len(p):]
	c.left -= int64(len(p))
	return nil
}
