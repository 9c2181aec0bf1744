package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
	"farshore/agent/repo/refs"
)

// Bundle writes the repository of the set to w as a file that git clone, git fetch and git bundle take: all refs of the manifest and HEAD, and one self-contained pack
// (git's Documentation/gitformat-bundle). scratch is a folder for temporary files, which are removed; empty means the system's. After an error, what w
// received is not to be trusted; errors are as of Build. Symbolic refs are listed as what they resolve to, and large files are not in it: bundles have
// no place for them. An empty repository gives a bundle without refs, which git clone takes.
func Bundle(ctx context.Context, parts Parts, set Set, w io.Writer, scratch string) error {
	m, err := readManifest(ctx, parts, set.Git)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 256<<10)
	if _, err := buffered.Write(bundleHeader(m)); err != nil {
		return err
	}
	chain := packParts(set.Git)
	if len(chain) == 1 && chain[0].Attrs[attrThin] != "yes" {
		if err := onePack(ctx, parts, chain[0], (&repo{format: m.Format}).idSize(), buffered); err != nil {
			return failed(ctx, set.Git, packName(chain[0], 0, 1), err)
		}
		return buffered.Flush()
	}
	if err := joinPacks(ctx, parts, set, m, buffered, scratch); err != nil {
		return err
	}
	return buffered.Flush()
}

// onePack writes the only pack of a chain to w: deflated, or as it is where that shows to be impossible at once.
func onePack(ctx context.Context, parts Parts, p *record.Part, idSize int, w io.Writer) error {
	pack := storedPack{parts, p, idSize}
	written := &packWatch{idSize: idSize}
	f, err := pack.deflated(ctx, io.MultiWriter(w, written))
	switch {
	case errors.Is(err, gitpack.ErrKeep) && written.size == 0:
		f, err = pack.copied(ctx, w)
	case errors.Is(err, gitpack.ErrKeep):
		err = fmt.Errorf("it can't be deflated, which showed only after some of it was written; restore a repository, and have git make a bundle of it: %w", err)
	}
	if err != nil {
		return err
	}
	f.ids = p.Attrs[attrIDs] // git computes them when it fetches from the bundle
	return f.check(p)
}

// joinPacks makes one pack of a chain and writes it to w.
func joinPacks(ctx context.Context, parts Parts, set Set, m *refs.Manifest, w io.Writer, parent string) error {
	g, remove, err := scratch(ctx, parent, m.Format, "")
	if err != nil {
		return err
	}
	b := &builder{parts: parts, set: set, dir: g.Dir, git: g, manifest: m}
	if err = b.packs(ctx); err == nil {
		if err = haveObjects(ctx, g, m.Tips()); err != nil {
			err = failed(ctx, set.Git, "refs", err)
		}
	}
	if err == nil {
		in := strings.NewReader(strings.Join(m.Tips(), "\n") + "\n")
		err = g.Run(ctx, in, w, "pack-objects", "--revs", "--stdout", "--delta-base-offset", "--quiet")
	}
	return errors.Join(err, remove())
}

// bundleHeader is what stands before the pack. HEAD has no other place than its id: of several branches with that id, git clone takes main or master, or else the last
// one for the current branch. So the current one comes last.
func bundleHeader(m *refs.Manifest) []byte {
	b := []byte("# v2 git bundle\n")
	if m.Format == refs.SHA256 {
		b = []byte("# v3 git bundle\n@object-format=sha256\n")
	}
	line := func(oid, name string) {
		if oid != "" {
			b = append(append(append(append(b, oid...), ' '), name...), '\n')
		}
	}
	head := m.HeadOID
	for _, r := range m.Refs {
		if r.Name == m.Head {
			head = r.OID
		} else {
			line(r.OID, r.Name)
		}
	}
	if m.Head != "" {
		line(head, m.Head)
	}
	line(head, "HEAD")
	return append(b, '\n')
}

// SameBundle reports whether the file is a whole bundle with exactly the refs of the set.
func SameBundle(ctx context.Context, parts Parts, set Set, file string) (bool, error) {
	m, err := readManifest(ctx, parts, set.Git)
	if err != nil {
		return false, err
	}
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	want := bundleHeader(m)
	have := make([]byte, len(want))
	if _, err := io.ReadFull(f, have); err != nil || !bytes.Equal(have, want) {
		return false, nil
	}
	return wholePack(ctx, f, m.Format)
}

// wholePack reports whether what follows in r is a pack that ends in the hash of all before.
func wholePack(ctx context.Context, r io.Reader, format string) (bool, error) {
	var h hash.Hash = sha1.New()
	if format == refs.SHA256 {
		h = sha256.New()
	}
	watch := &packWatch{idSize: h.Size()}
	var held []byte // the last bytes, which may be the trailer
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		_, _ = watch.Write(buf[:n]) // it never fails
		held = append(held, buf[:n]...)
		if more := len(held) - h.Size(); more > 0 {
			_, _ = h.Write(held[:more]) // a hash takes everything
			held = append(held[:0], held[more:]...)
		}
		switch {
		case err == io.EOF:
			return watch.trailer() == hex.EncodeToString(h.Sum(nil)) && bytes.HasPrefix(watch.head, []byte("PACK")), nil
		case err != nil:
			return false, err
		case ctx.Err() != nil:
			return false, ctx.Err()
		}
	}
}

// Same reports whether the repository in dir has exactly the refs and HEAD of the set, all objects that they reach, and all large files; if not, it says
// what differs. An error says that it could not be compared. It compares no content of objects and no captured configuration. The repository's own configuration has no say.
func Same(ctx context.Context, parts Parts, set Set, dir string) (same bool, why string, err error) {
	m, err := readManifest(ctx, parts, set.Git)
	if err != nil {
		return false, "", err
	}
	c := &checker{parts: parts, set: set, dir: dir, manifest: m, theirs: openRepo(dir, m.Format)}
	switch err := sameRefs(ctx, c.theirs, m); {
	case ctx.Err() != nil:
		return false, "", ctx.Err()
	case machine(err):
		return false, "", err
	case err != nil:
		return false, err.Error(), nil
	}
	if why, err := c.missingLarge(); err != nil || why != "" {
		return false, why, err
	}
	if len(m.Tips()) == 0 {
		return true, "", nil
	}
	ours, remove, err := scratch(ctx, "", m.Format, objectsOf(dir))
	if err != nil {
		return false, "", err
	}
	in := strings.NewReader(strings.Join(m.Tips(), "\n") + "\n")
	err = ours.Run(ctx, in, io.Discard, "rev-list", "--objects", "--quiet", "--stdin")
	if e := remove(); e != nil {
		return false, "", errors.Join(err, e)
	}
	if ctx.Err() == nil && complained(err) {
		return false, fmt.Sprintf("objects are missing: %v", err), nil
	}
	return err == nil, "", err
}
