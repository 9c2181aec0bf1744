package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"farshore/agent/record"
	"farshore/agent/record/jsontext"
)

// EncodeHeaderDrill writes the report's body as one line of JSON without a line feed, or says why no reader would take it.
func EncodeHeaderDrill(d *HeaderDrill) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	b := appendString([]byte{'{'}, "type", TypeHeaderDrill)
	if d.Prev != nil {
		b = appendString(b, "prev", d.Prev.String())
	}
	b = appendString(b, "vault", d.Vault.String())
	b = appendString(b, "time", record.FormatTime(d.Time))
	b = appendInt(b, "statement", d.Statement)
	b = appendInt(b, "recovery", d.Recovery)
	b = appendObjects(b, "heads", d.Heads, appendHead)
	b = appendInt(b, "population", d.Population)
	b = appendInt(b, "drawn", d.Drawn)
	b = appendInt(b, "opened", d.Opened)
	b = appendInt(b, "failed", d.Failed)
	b = appendInt(b, "unread", d.Unread)
	b = appendObjects(b, "findings", d.Findings, appendFinding)
	b = append(appendInt(b, "omitted", d.Omitted), '}')
	if len(b) > MaxSize-envelopeRoom {
		return nil, fmt.Errorf("report: %d bytes are more than a reader takes", len(b))
	}
	return b, nil
}

// envelopeRoom is more than what the other two lines of a signed object take.
const envelopeRoom = 1024

func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), key...), '"', ':')
}

func appendString(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return jsontext.AppendString(appendKey(dst, key), s)
}

func appendInt(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(appendKey(dst, key), n, 10)
}

// appendObjects writes an array of objects whose members one writes, nothing for an empty one.
func appendObjects[T any](dst []byte, key string, list []T, one func([]byte, *T) []byte) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(appendKey(dst, key), '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(one(append(dst, '{'), &list[i]), '}')
	}
	return append(dst, ']')
}

func appendHead(dst []byte, h *Head) []byte {
	return appendString(appendInt(appendString(dst, "chain", h.Chain), "seq", h.Seq), "hash", h.Hash.String())
}

func appendFinding(dst []byte, f *Finding) []byte {
	return appendString(appendString(appendString(dst, "pack", f.Pack.String()), "kind", f.Kind), "detail", f.Detail)
}

// check refuses what no drill can have come to.
func (d *HeaderDrill) check() error {
	switch {
	case d.Vault.IsZero():
		return errors.New("vault is missing")
	case d.Prev != nil && d.Prev.IsZero():
		return errors.New("prev is the zero hash")
	case d.Time.IsZero() || d.Time.UTC().Year() < 1 || d.Time.UTC().Year() > 9999:
		return errors.New("time is none between the years 1 and 9999")
	case d.Statement < 1 || d.Recovery < 1:
		return errors.New("statement or recovery is less than 1")
	case min(d.Population, d.Drawn, d.Opened, d.Failed, d.Unread, d.Omitted) < 0:
		return errors.New("a number is negative")
	case d.Drawn > d.Population:
		return fmt.Errorf("drawn is %d, of a population of %d", d.Drawn, d.Population)
	case d.Opened > d.Drawn || d.Failed > d.Drawn || d.Unread != d.Drawn-d.Opened-d.Failed:
		return fmt.Errorf("opened, failed and unread are not together the %d that were drawn", d.Drawn)
	case len(d.Heads) > MaxHeads || len(d.Findings) > MaxFindings:
		return fmt.Errorf("has more than %d heads or %d findings", MaxHeads, MaxFindings)
	}
	for i := range d.Heads {
		if err := d.checkHead(i); err != nil {
			return fmt.Errorf("heads[%d]: %w", i, err)
		}
	}
	for i := range d.Findings {
		if err := d.Findings[i].check(); err != nil {
			return fmt.Errorf("findings[%d]: %w", i, err)
		}
	}
	return nil
}

func (d *HeaderDrill) checkHead(i int) error {
	h := &d.Heads[i]
	switch {
	case !isHex(h.Chain, signerDigits):
		return errors.New("chain is not 32 digits of 0-9a-f")
	case h.Seq < 1 || h.Seq > maxSeq || h.Hash.IsZero():
		return errors.New("seq or hash is missing")
	case i > 0 && d.Heads[i-1].Chain >= h.Chain:
		return errors.New("is not behind the one before it by its chain")
	}
	return nil
}

func (f *Finding) check() error {
	switch {
	case f.Pack.IsZero():
		return errors.New("pack is missing")
	case f.Kind == "" || len(f.Kind) > 32 || strings.Trim(f.Kind, "abcdefghijklmnopqrstuvwxyz-") != "":
		return fmt.Errorf("kind %.40q is not 1 to 32 of a-z and -", f.Kind)
	case len(f.Detail) > maxDetail || !utf8.ValidString(f.Detail):
		return fmt.Errorf("detail has more than %d bytes, or is not UTF-8", maxDetail)
	}
	return nil
}

// cut makes a text fit a finding.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail-len("…")], "") + "…"
	}
	return s
}
