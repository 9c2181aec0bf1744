package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
)

// result is what a command has to tell: for programs as JSON, for people as text.
type result interface {
	text(p *printer)
}

// output is the one way to stdout. In --json it writes exactly one object:
//
//	{"schema": "farshore.<command>/1", "result": …, "error": {"code", "message", "hint"}}
//
// result and error are null where there is none; both are there where a command ended incomplete. It is not for concurrent use.
type output struct {
	w      *bufio.Writer
	json   bool
	schema string
	result result
	// items is how many items of a long list were written; opened is true once its beginning is.
	items  int
	opened bool
	err    error
}

func newOutput(e *env) *output {
	return &output{w: bufio.NewWriterSize(e.stdout, 64<<10)}
}

// item writes one item of a list that may be too long to hold: as a line of text, or as an element of the result's member "items". After
// it, the command's result gives the other members.
func (o *output) item(r result) error {
	if !o.json {
		p := printer{w: o.w}
		r.text(&p)
		return p.err
	}
	o.open()
	if o.items > 0 {
		o.write(",\n")
	}
	o.items++
	o.encode(r)
	return o.err
}

// open writes the beginning of a list.
func (o *output) open() {
	if o.opened {
		return
	}
	o.opened = true
	o.write(`{"schema":`)
	o.encode(o.schema)
	o.write(`,"result":{"items":[` + "\n")
}

func (o *output) write(s string) {
	if o.err == nil {
		_, o.err = o.w.WriteString(s)
	}
}

// encode writes a value as JSON in one line.
func (o *output) encode(v any) {
	b, err := marshal(v)
	if err != nil && o.err == nil {
		o.err = err
	}
	o.write(string(b))
}

// marshal returns JSON as people would write it: without escaping <, > and &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// close writes the result and the failure, and what is still in the buffer.
func (o *output) close(f *failure) error {
	if o.json {
		o.closeJSON(f)
	} else if o.result != nil {
		p := printer{w: o.w, err: o.err}
		o.result.text(&p)
		o.err = p.err
	}
	if err := errors.Join(o.err, o.w.Flush()); err != nil {
		return fmt.Errorf("write to stdout: %w", err)
	}
	return nil
}

// closeJSON writes the object, or what is missing of it.
func (o *output) closeJSON(f *failure) {
	if o.opened {
		o.write("\n]")
		o.members()
		o.write(`},"error":`)
	} else {
		o.write(`{"schema":`)
		o.encode(o.schema)
		o.write(`,"result":`)
		o.encode(o.result)
		o.write(`,"error":`)
	}
	o.encode(jsonFailure(f))
	o.write("}\n")
}

// members writes the result's members behind those that are there.
func (o *output) members() {
	if o.result == nil {
		return
	}
	b, err := marshal(o.result)
	if err != nil && o.err == nil {
		o.err = err
	}
	if inner := bytes.TrimSuffix(bytes.TrimPrefix(b, []byte("{")), []byte("}")); len(inner) > 0 {
		o.write("," + string(inner))
	}
}

// jsonFailure returns the error member.
func jsonFailure(f *failure) any {
	if f == nil {
		return nil
	}
	return struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	}{f.code, f.Error(), f.hint}
}

// printer writes lines for people and remembers the first error.
type printer struct {
	w   *bufio.Writer
	err error
}

// line writes a line.
func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = p.w.WriteString(strings.TrimSuffix(fmt.Sprintf(format, args...), "\n") + "\n")
	}
}

// table writes rows in aligned columns. The first row is the head.
func (p *printer) table(rows [][]string) {
	if p.err != nil || len(rows) <= 1 {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		if _, err := t.Write([]byte(strings.Join(row, "\t") + "\n")); err != nil {
			p.err = err
			return
		}
	}
	p.err = t.Flush()
}
