package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
)

// linesPage is about how many raw bytes a page of lines has; maxLines how many a part in such pages may have in all, since it is read whole.
const (
	linesPage = 8 << 20
	maxLines  = 256 << 20
)

// Lines implements source.Sink: it keeps small data in the record, and puts more into pages of lines, each cut behind a line.
func (w *Writer) Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error) {
	p.Extents, p.Pages, p.Inline, p.Lines = nil, nil, "", nil
	p.Size, p.SHA256 = int64(len(data)), sha256.Sum256(data)
	switch {
	case len(data) <= record.MaxInline:
		p.Inline = string(data)
		return p, nil
	case len(data) > maxLines:
		return p, fmt.Errorf("the part %s has %d bytes: %d are the most", p.Kind, len(data), maxLines)
	case data[len(data)-1] != '\n':
		return p, fmt.Errorf("the part %s does not end with a line feed", p.Kind)
	}
	var offset int64
	for len(data) > 0 {
		n := len(data)
		if n > linesPage {
			n = bytes.LastIndexByte(data[:linesPage], '\n') + 1
			if n == 0 {
				return p, fmt.Errorf("the part %s has a line of more than %d bytes", p.Kind, linesPage)
			}
		}
		ref, err := w.putBytes(ctx, append(record.AppendLinesHeader(nil), data[:n]...))
		if err != nil {
			return p, err
		}
		p.Lines = append(p.Lines, record.PartPage{Ref: ref, Offset: offset, Length: int64(n)})
		data, offset = data[n:], offset+int64(n)
	}
	return p, nil
}

// Read implements source.Sink. A page that can't be read any more is remembered as damaged, so that the next pass captures its item afresh.
func (w *Writer) Read(ctx context.Context, p *record.Part) ([]byte, error) {
	b, err := w.vault.Lines(ctx, p)
	if err != nil {
		return nil, w.noteUnread(err)
	}
	return b, nil
}

// Lines returns the bytes of a part that is in its record or in pages of lines, and checks them. Whoever can read records can read them; ErrLocked says that
// no key at hand can, a *DamageError that a page is damaged.
func (v *Vault) Lines(ctx context.Context, p *record.Part) ([]byte, error) {
	if len(p.Extents)+len(p.Pages) > 0 {
		return nil, errors.New("the part is in packs, not in pages of lines")
	}
	if p.Size > maxLines {
		return nil, fmt.Errorf("the part has %d bytes: %d are the most of this kind", p.Size, maxLines)
	}
	var b bytes.Buffer
	b.Grow(int(p.Size))
	if err := v.writeLines(ctx, &b, p); err != nil {
		return nil, err
	}
	if int64(b.Len()) != p.Size || record.Hash(sha256.Sum256(b.Bytes())) != p.SHA256 {
		return nil, fmt.Errorf("%d of %d bytes: %w", b.Len(), p.Size, ErrContent)
	}
	return b.Bytes(), nil
}

// writeLines writes what the part has inline or in pages of lines.
func (v *Vault) writeLines(ctx context.Context, w io.Writer, p *record.Part) error {
	if p.Inline != "" {
		if _, err := io.WriteString(w, p.Inline); err != nil {
			return err
		}
	}
	for i := range p.Lines {
		g := &p.Lines[i]
		raw, err := v.pageBytes(ctx, g.Name, g.Length+1024)
		if err != nil {
			return err
		}
		r, err := record.ReadLines(bytes.NewReader(raw))
		if err != nil {
			return &DamageError{record.MetaName(g.Name), err}
		}
		n, err := io.Copy(w, r)
		if err != nil {
			return err
		}
		if n != g.Length {
			return &DamageError{record.MetaName(g.Name), fmt.Errorf("it has %d bytes of lines, not %d", n, g.Length)}
		}
	}
	return nil
}
