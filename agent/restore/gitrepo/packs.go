package gitrepo

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
)

// Attributes of pack parts.
const (
	attrObjects = "objects"
	attrTrailer = "trailer"
	attrIDs     = "ids"
	attrThin    = "thin"
	attrSource  = "source-size"
)

// packParts returns the record's packs in the order of their chain.
func packParts(rec *record.Record) []*record.Part {
	var out []*record.Part
	for i := range rec.Parts {
		if rec.Parts[i].Kind == record.PartPack {
			out = append(out, &rec.Parts[i])
		}
	}
	return out
}

func packName(p *record.Part, i, n int) string {
	return fmt.Sprintf("pack %d of %d (trailer %s)", i+1, n, p.Attrs[attrTrailer])
}

// checkChain holds that each pack says that it builds on the one before, which is how a missing one shows before git stumbles over it.
func checkChain(rec *record.Record) error {
	base := ""
	chain := packParts(rec)
	for i, p := range chain {
		var err error
		switch {
		case p.Encoding != "":
			err = fmt.Errorf("it is stored in the encoding %q, which this version does not know; a newer one does", p.Encoding)
		case p.Base != base && i == 0:
			err = fmt.Errorf("it builds on a pack with trailer %s, which the record does not have", p.Base)
		case p.Base != base:
			err = fmt.Errorf("it builds on a pack with trailer %q, and the one before it has %q: one between them is missing", p.Base, base)
		}
		if err != nil {
			return &PartError{Path: rec.Path, Part: packName(p, i, len(chain)), Err: err}
		}
		base = p.Attrs[attrTrailer]
	}
	return nil
}

// packFacts are what a pack showed on its way into a repository.
type packFacts struct {
	objects int64
	trailer string
	ids     string // of the objects that it was stored with
}

// check holds them against what the capture noted.
func (f *packFacts) check(p *record.Part) error {
	if want := p.Attrs[attrTrailer]; want != f.trailer {
		return fmt.Errorf("the pack's trailer is %s, and the record says %q", f.trailer, want)
	}
	if want := p.Attrs[attrObjects]; want != strconv.FormatInt(f.objects, 10) {
		return fmt.Errorf("the pack has %d objects, and the record says %q", f.objects, want)
	}
	if want := p.Attrs[attrIDs]; want != "" && want != f.ids {
		return fmt.Errorf("its %d objects are not those that were captured: their ids add up to %s, and the record says %s", f.objects, f.ids, want)
	}
	return nil
}

// addPack streams a pack into the repository: deflated, or as it is stored where that is wanted or nothing else can be done.
func addPack(ctx context.Context, g *repo, parts Parts, p *record.Part, first, asStored bool) (*packFacts, error) {
	if asStored {
		return indexPack(ctx, g, storedPack{parts, p, g.idSize()}.copied, p, first)
	}
	f, err := indexPack(ctx, g, storedPack{parts, p, g.idSize()}.deflated, p, first)
	if errors.Is(err, gitpack.ErrKeep) {
		if err := removeTemporary(g.Dir); err != nil {
			return nil, err
		}
		f, err = indexPack(ctx, g, storedPack{parts, p, g.idSize()}.copied, p, first)
	}
	return f, err
}

// removeTemporary removes what git index-pack leaves of a pack that it did not get to the end of.
func removeTemporary(dir string) error {
	left, err := filepath.Glob(filepath.Join(escapeGlob(dir), "objects", "pack", "tmp_*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// indexPack streams a pack into the repository. All but the first of a chain may build on objects that are there already: git adds these to the pack, behind
// its own.
func indexPack(ctx context.Context, g *repo, write packWriter, p *record.Part, first bool) (*packFacts, error) {
	args := []string{"index-pack", "--stdin"}
	if !first || p.Attrs[attrThin] == "yes" {
		args = append(args, "--fix-thin")
	}
	w := &packWatch{idSize: g.idSize()}
	var f *packFacts
	produce := func(ctx context.Context, to io.Writer) (err error) {
		f, err = write(ctx, io.MultiWriter(to, w))
		return err
	}
	var out strings.Builder
	if err := feed(ctx, g, produce, &out, args...); err != nil {
		return nil, err
	}
	_, name, ok := strings.Cut(strings.TrimSpace(out.String()), "\t")
	if !ok {
		return nil, fmt.Errorf("git index-pack printed %q, not the name of a pack", out.String())
	}
	if f.objects == 0 {
		f.ids = hex.EncodeToString(make([]byte, sha256.Size))
		return f, nil
	}
	sum := &ownIDs{end: w.size - int64(w.idSize)}
	if err := showIndex(ctx, g, filepath.Join(g.Dir, "objects", "pack", "pack-"+name+".idx"), sum.add); err != nil {
		return nil, err
	}
	if sum.count != f.objects {
		return nil, fmt.Errorf("the pack says that it has %d objects, and git found %d", f.objects, sum.count)
	}
	f.ids = sum.total.String()
	return f, nil
}

// errEnded is what a producer of git's input sees when git takes no more of it.
var errEnded = errors.New("git takes no more")

// feed runs git with what produce writes as its input, and writes what git prints to out. A failure of produce comes before what git says to input that was cut
// off. It returns after produce did.
func feed(ctx context.Context, g *repo, produce func(context.Context, io.Writer) error, out io.Writer, args ...string) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	produced := make(chan error, 1)
	go func() {
		err := produce(inner, w)
		produced <- err
		_ = w.CloseWithError(err) // it never fails
	}()
	err := g.Run(ctx, r, out, args...)
	_ = r.CloseWithError(errEnded) // it never fails
	if err != nil {
		cancel()
	}
	e := <-produced
	switch {
	case e == nil:
		return err
	case err != nil && (errors.Is(e, errEnded) || errors.Is(e, context.Canceled)):
		return err
	case errors.Is(e, errEnded):
		return fmt.Errorf("git %s ended before its input did", args[0])
	}
	return e
}

// packWatch sees a pack pass: its first 12 bytes, its last ones and its size.
type packWatch struct {
	idSize int
	size   int64
	head   []byte
	tail   []byte
}

const packHeader = 12

// Write takes the next bytes.
func (w *packWatch) Write(p []byte) (int, error) {
	n := len(p)
	w.size += int64(n)
	if missing := packHeader - len(w.head); missing > 0 {
		w.head = append(w.head, p[:min(missing, n)]...)
	}
	if n > w.idSize {
		p = p[n-w.idSize:]
	}
	w.tail = append(w.tail, p...)
	if more := len(w.tail) - w.idSize; more > 0 {
		w.tail = append(w.tail[:0], w.tail[more:]...)
	}
	return n, nil
}

func (w *packWatch) objects() int64 {
	if len(w.head) < packHeader {
		return 0
	}
	return int64(binary.BigEndian.Uint32(w.head[8:]))
}

func (w *packWatch) trailer() string { return hex.EncodeToString(w.tail) }

// showIndex calls each with all objects of a pack's index: where the object begins in the pack, and its id in hexadecimal.
func showIndex(ctx context.Context, g *repo, index string, each func(offset int64, id string) error) (err error) {
	f, err := os.Open(index)
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := g.Start(ctx, f, "show-index", "--object-format="+g.format)
	if err != nil {
		return err
	}
	defer s.Close()
	lines := bufio.NewScanner(s)
	for lines.Scan() {
		at, rest, _ := strings.Cut(lines.Text(), " ")
		id, _, _ := strings.Cut(rest, " ")
		offset, err := strconv.ParseInt(at, 10, 64)
		if err == nil {
			err = each(offset, id)
		} else {
			err = fmt.Errorf("git show-index printed %q", lines.Text())
		}
		if err != nil {
			return cmp.Or(lines.Err(), err) // a line may be cut off where git was ended
		}
	}
	return lines.Err()
}

// ownIDs adds up the ids of the objects that a pack was stored with: those before the place where its trailer was, behind which git puts what it adds.
type ownIDs struct {
	end   int64
	count int64
	total idSum
}

func (o *ownIDs) add(offset int64, id string) error {
	if offset >= o.end {
		return nil
	}
	o.count++
	return o.total.add(id)
}

// idSum is the sum mod 2^256 of the SHA-256 of object ids: equal for equal sets, in whatever order they come. The first word is the lowest.
type idSum [4]uint64

func (s *idSum) add(id string) error {
	var raw [32]byte
	n, err := hex.Decode(raw[:], []byte(id))
	if err != nil {
		return fmt.Errorf("%q is no object id", id)
	}
	h := sha256.Sum256(raw[:n])
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.BigEndian.Uint64(h[24-8*i:]), carry)
	}
	return nil
}

// String is the sum in hexadecimal, most significant digit first.
func (s *idSum) String() string {
	var b [32]byte
	for i := range s {
		binary.BigEndian.PutUint64(b[24-8*i:], s[i])
	}
	return hex.EncodeToString(b[:])
}
