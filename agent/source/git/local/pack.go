package local

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/refs"
)

// Pack returns a pack stream with all objects that wants reach and haves do not. Wants may be ids of objects of any type; haves that are not there are
// ignored, and what they reach is taken to be had. A thin pack may have deltas against what haves reach. The stream has IDs, too, and ends with an error
// unless the pack is complete: ErrMoved wrapped (read the refs again), *source.Unreadable, source.ErrGone, the context's error, or others. The caller closes
// it.
//
// Git copies what is compressed in its packs as it is. Damage there shows to whoever decompresses the stream, and not to Pack.
//
// Two git programs make it, one that lists and one that packs: so what is in the pack is known, and an object that is deleted between the two is noticed.
func (r *Repository) Pack(ctx context.Context, wants, haves []string, thin bool) (io.ReadCloser, error) {
	if err := r.checkShares(); err != nil {
		return nil, err
	}
	haves, err := r.present(ctx, haves)
	if err != nil {
		return nil, r.failure(err)
	}
	return r.start(ctx, wants, haves, thin)
}

// start starts making a pack; all haves are there.
func (r *Repository) start(ctx context.Context, wants, haves []string, thin bool) (*pack, error) {
	p := &pack{repo: r, ctx: ctx, wants: wants, haves: haves, sum: idSum{size: idSize(r.format)}}
	args := []string{"pack-objects", "--stdout", "--delta-base-offset", "-q"}
	listing := "--objects"
	if thin { // its edges are what git may build deltas on; the option --thin would make it walk itself
		listing = "--objects-edge"
	}
	var input io.Reader = bytes.NewReader(nil)
	if len(wants) > 0 {
		list, err := r.pipe(ctx, revisions(wants, haves), p.sum.line, "rev-list", listing, "--stdin")
		if err != nil {
			return nil, err
		}
		p.list, input = list, list
	}
	out, err := r.git.Start(ctx, input, args...)
	if err != nil {
		p.Close()
		return nil, err
	}
	p.out = out
	return p, nil
}

// revisions is what git reads on its standard input to walk from wants, but not to what haves reach.
func revisions(wants, haves []string) io.Reader {
	var b bytes.Buffer
	for _, oid := range wants {
		b.WriteString(oid + "\n")
	}
	for _, oid := range haves {
		b.WriteString("^" + oid + "\n")
	}
	return bytes.NewReader(b.Bytes())
}

// pack is the stream of a pack. Not safe for concurrent use.
type pack struct {
	repo         *Repository
	ctx          context.Context
	wants, haves []string
	list         *pipe // nil: nothing is wanted
	out          *gitcmd.Stream
	sum          idSum
	head         []byte // the first bytes of the stream
	err          error
}

// packHead is the length of a pack's header; its last four bytes are the number of objects.
const packHead = 12

// Read reads on. io.EOF comes only when the pack has exactly the objects that were listed.
func (p *pack) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.read(b)
	if err == io.EOF {
		p.err = err
	} else if err != nil {
		p.err = p.repo.diagnose(p.ctx, err, p.wants, p.haves)
	}
	return n, p.err
}

// read is Read without asking why it failed.
func (p *pack) read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if missing := packHead - len(p.head); missing > 0 {
		p.head = append(p.head, b[:min(n, missing)]...)
	}
	if err != io.EOF {
		return n, err
	}
	if len(p.head) < packHead || string(p.head[:4]) != "PACK" {
		return n, fmt.Errorf("git pack-objects in %s printed no pack", p.repo.dir)
	}
	if got := int64(binary.BigEndian.Uint32(p.head[8:])); got != p.sum.count {
		return n, fmt.Errorf("git pack-objects in %s packed %d of %d objects: %w", p.repo.dir, got, p.sum.count, ErrMoved)
	}
	return n, io.EOF
}

// IDs returns, after io.EOF, the number of objects in the pack, and the sum modulo 2^256 of the SHA-256 of each one's id as raw bytes: 64 hexadecimal digits,
// big-endian.
func (p *pack) IDs() (objects int64, ids string) { return p.sum.count, p.sum.hex() }

// Close ends what still runs. It may be called more than once.
func (p *pack) Close() error {
	if p.list != nil {
		p.list.cancel()
	}
	if p.out != nil {
		_ = p.out.Close()
	}
	if p.list != nil {
		p.list.close()
	}
	return nil
}

// idSum counts the objects of a listing of git rev-list, and sums them up regardless of their order.
type idSum struct {
	size  int // bytes of an id
	count int64
	sum   [4]uint64 // big-endian
}

func idSize(format string) int {
	if format == refs.SHA256 {
		return 32
	}
	return 20
}

// line takes "id", "id path" or "-id", which is one that is had, and hands it on.
func (s *idSum) line(line []byte) ([]byte, error) {
	if len(line) > 0 && line[0] == '-' {
		return line, nil
	}
	var raw [32]byte
	if len(line) < 2*s.size {
		return nil, fmt.Errorf("git rev-list printed %q where an object id belongs", line)
	}
	if _, err := hex.Decode(raw[:s.size], line[:2*s.size]); err != nil {
		return nil, fmt.Errorf("git rev-list printed %q where an object id belongs", line)
	}
	s.add(raw[:s.size])
	return line, nil
}

func (s *idSum) add(id []byte) {
	h := sha256.Sum256(id)
	var carry uint64
	for i := 3; i >= 0; i-- {
		s.sum[i], carry = bits.Add64(s.sum[i], binary.BigEndian.Uint64(h[8*i:]), carry)
	}
	s.count++
}

func (s *idSum) hex() string {
	var b []byte
	for _, v := range s.sum {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return hex.EncodeToString(b)
}

// missing returns those of the ids that are not there.
func (r *Repository) missing(ctx context.Context, ids []string) (gone map[string]bool, err error) {
	if len(ids) == 0 {
		return map[string]bool{}, nil
	}
	err = r.soon(ctx, func(ctx context.Context) (err error) {
		gone, err = r.ask(ctx, ids)
		return err
	})
	return gone, err
}

// ask has git look for the ids.
func (r *Repository) ask(ctx context.Context, ids []string) (map[string]bool, error) {
	gone := map[string]bool{}
	s, err := r.git.Start(ctx, revisions(ids, nil), "cat-file", "--batch-check=%(objectname)", "--buffer")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	lines := bufio.NewScanner(s)
	for lines.Scan() {
		if oid, ok := bytes.CutSuffix(lines.Bytes(), []byte(" missing")); ok {
			gone[string(oid)] = true
		}
	}
	return gone, lines.Err()
}

// present returns those of the ids that are there, in their order.
func (r *Repository) present(ctx context.Context, ids []string) ([]string, error) {
	gone, err := r.missing(ctx, ids)
	if err != nil || len(gone) == 0 {
		return ids, err
	}
	return slices.DeleteFunc(slices.Clone(ids), func(oid string) bool { return gone[oid] }), nil
}
