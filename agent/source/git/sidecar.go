package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
)

// Attributes of sidecar parts.
const (
	attrName = "name"
	attrMode = "mode"
	attrLink = "link"
)

// hashed is the size in bytes up to which files beside a repository are read for each listing. Of larger ones, which are rare, size and time tell.
const hashed = 1 << 20

// sidecarDigest is a digest of the names, modes and contents of the files beside a repository.
func sidecarDigest(ctx context.Context, l *local.Repository) (string, error) {
	files, err := l.Sidecars(ctx)
	if err != nil {
		return "", err
	}
	return digestOf(files), ctx.Err()
}

func digestOf(files []local.File) string {
	h := sha256.New()
	for i := range files {
		f := &files[i]
		fmt.Fprintf(h, "%q %o %q %s\n", f.Name, f.Mode.Perm(), f.Link, contentOf(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// contentOf stands for the content of a file.
func contentOf(f *local.File) string {
	if f.Link != "" {
		return "link"
	}
	body, err := f.Open()
	if err != nil {
		return "unreadable"
	}
	defer body.Close()
	if f.Size > hashed {
		return fmt.Sprintf("%d bytes of %s", f.Size, modified(body))
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(body, 2*hashed)); err != nil {
		return "unreadable"
	}
	return hex.EncodeToString(h.Sum(nil))
}

func modified(body io.ReadCloser) string {
	file, ok := body.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return "unknown time"
	}
	info, err := file.Stat()
	if err != nil {
		return "unknown time"
	}
	return info.ModTime().UTC().Format(time.RFC3339Nano)
}

// captureSidecar stores the files beside a repository on this machine.
func (s *Source) captureSidecar(ctx context.Context, r *repository, sink source.Sink) (*record.Record, error) {
	l, err := s.openLocal(ctx, r)
	if err != nil {
		return nil, unlessHistorySays(err)
	}
	defer l.Close()
	files, err := l.Sidecars(ctx)
	if err != nil {
		return nil, err
	}
	// What changes after this is seen by the next listing.
	rec := &record.Record{Attrs: record.Attrs{attrDigest: digestOf(files)}}
	omitted := split(l.Omitted())
	for i := range files {
		p, bad, err := storeFile(ctx, sink, &files[i])
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(bad, fs.ErrNotExist): // removed since it was listed
		case bad != nil:
			omitted = append(omitted, fmt.Sprintf("%s: %v", oneLine(files[i].Name), bad))
		default:
			rec.Parts = append(rec.Parts, p)
		}
	}
	if len(omitted) > 0 {
		rec.Attrs[record.AttrOmitted] = lines(omitted)
	}
	return rec, nil
}

// unlessHistorySays leaves it to the history's capture to say that the repository can't be read: what was captured of the rest stays as it is.
func unlessHistorySays(err error) error {
	if aboutItself(err) {
		return errLeft
	}
	return err
}

// storeFile stores a file, or the name of what a symbolic link points to. bad is why it can't be read.
func storeFile(ctx context.Context, sink source.Sink, f *local.File) (p record.Part, bad, err error) {
	p = record.Part{Kind: record.PartFile, Attrs: record.Attrs{attrName: f.Name, attrMode: strconv.FormatUint(uint64(f.Mode.Perm()), 8)}}
	if f.Link != "" {
		p.Attrs[attrLink] = f.Link
		return store(ctx, sink, p, 0, strings.NewReader(""))
	}
	body, err := f.Open()
	if err != nil {
		return p, err, nil
	}
	defer body.Close()
	return store(ctx, sink, p, f.Size, &growing{r: body, left: f.Size + hashed})
}

// growing reads a file that may be written to, up to some bytes more than it had.
type growing struct {
	r    io.Reader
	left int64
}

func (g *growing) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if g.left -= int64(n); g.left < 0 {
		return 0, errors.New("it grew while it was read")
	}
	return n, err
}

// maxOmitted is how many things that are missing are named; of more only the number is said.
const maxOmitted = 20

// lines joins what is missing, a line each.
func lines(omitted []string) string {
	rest := ""
	if n := len(omitted); n > maxOmitted {
		omitted, rest = omitted[:maxOmitted], fmt.Sprintf("\nand %d more: as these", n-maxOmitted)
	}
	for i, o := range omitted {
		omitted[i] = oneLine(o)
	}
	return strings.Join(omitted, "\n") + rest
}

// split takes lines apart.
func split(text string) []string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// oneLine makes text fit in a line, and cuts off what would make it very long.
func oneLine(text string) string {
	const most = 1000
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
}
