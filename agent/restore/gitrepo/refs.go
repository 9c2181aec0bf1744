package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
)

// maxRefsPart bounds the bytes of a manifest that is read.
const maxRefsPart = 1 << 30

// readManifest returns the refs that the record has, after checking that its packs are a chain.
func readManifest(ctx context.Context, parts Parts, rec *record.Record) (*refs.Manifest, error) {
	if rec == nil {
		return nil, errors.New("gitrepo: there is no record of kind git")
	}
	if err := checkChain(rec); err != nil {
		return nil, err
	}
	full, err := readPart(ctx, parts, rec, record.PartRefs)
	if err != nil {
		return nil, failed(ctx, rec, "refs", err)
	}
	var delta []byte
	if rec.Part(record.PartRefsDelta) != nil {
		if delta, err = readPart(ctx, parts, rec, record.PartRefsDelta); err != nil {
			return nil, failed(ctx, rec, "changes of refs", err)
		}
	}
	m, err := refs.Current(full, delta)
	if err == nil {
		err = m.Check()
	}
	if err == nil && rec.Attrs["refs"] != "" && rec.Attrs["refs"] != m.Digest() {
		err = fmt.Errorf("their digest is %s, and the record says %s", m.Digest(), rec.Attrs["refs"])
	}
	if err != nil {
		return nil, failed(ctx, rec, "refs", err)
	}
	return m, nil
}

// readPart returns the bytes of a small part.
func readPart(ctx context.Context, parts Parts, rec *record.Record, kind string) ([]byte, error) {
	p := rec.Part(kind)
	switch {
	case p == nil:
		return nil, fmt.Errorf("the record has no part of kind %s", kind)
	case p.Size > maxRefsPart:
		return nil, fmt.Errorf("the part has %d bytes: %d are the most", p.Size, maxRefsPart)
	}
	var b bytes.Buffer
	if err := parts.Copy(ctx, &b, p); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// putRefs writes all refs and HEAD into a repository that has none, and makes sure that git sees them as the manifest has them, each with an object that is
// there.
//
// They are written as one packed file, which git reads as it reads the files of single refs. A transaction of git update-ref makes a file and a lock of each: for
// 100,000 refs that takes ten seconds and as much again to pack them, it can't hold names that are no names of files, and it refuses refs that older versions of
// git allowed, such as a branch that is a tag.
func putRefs(ctx context.Context, g *repo, m *refs.Manifest) error {
	if err := haveObjects(ctx, g, m.Tips()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "packed-refs"), packedRefs(m), 0o644); err != nil {
		return err
	}
	for _, r := range m.Refs {
		if r.Symref == "" {
			continue
		}
		if err := g.Run(ctx, nil, io.Discard, "symbolic-ref", "--", r.Name, r.Symref); err != nil {
			return fmt.Errorf("%q: %w", r.Name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "HEAD"), headFile(m), 0o644); err != nil {
		return err
	}
	return sameRefs(ctx, g, m)
}

// packedRefs is the file of packed refs: lines of id and name, sorted by name (git's Documentation/git-pack-refs and refs/packed-backend.c).
func packedRefs(m *refs.Manifest) []byte {
	b := []byte("# pack-refs with: sorted \n")
	for _, r := range m.Refs {
		if r.Symref == "" {
			b = append(append(append(append(b, r.OID...), ' '), r.Name...), '\n')
		}
	}
	return b
}

// headFile is what the file HEAD has. Where the capture learned nothing of HEAD, it is the branch that Init chose.
func headFile(m *refs.Manifest) []byte {
	switch {
	case m.Head != "":
		return []byte("ref: " + m.Head + "\n")
	case m.HeadOID != "":
		return []byte(m.HeadOID + "\n")
	}
	return []byte("ref: " + defaultHead + "\n")
}

const defaultHead = "refs/heads/main"

// haveObjects makes sure that the repository has the objects.
func haveObjects(ctx context.Context, g *repo, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	s, err := g.Start(ctx, strings.NewReader(strings.Join(ids, "\n")+"\n"), "cat-file", "--batch-check=%(objecttype)", "--buffer")
	if err != nil {
		return err
	}
	defer s.Close()
	lines := bufio.NewScanner(s)
	for i := 0; lines.Scan(); i++ {
		if strings.HasSuffix(lines.Text(), " missing") {
			return fmt.Errorf("they point to object %s, which is in no pack: one is missing", strings.TrimSuffix(lines.Text(), " missing"))
		}
	}
	return lines.Err()
}

// sameRefs compares what git sees with the manifest.
func sameRefs(ctx context.Context, g *repo, m *refs.Manifest) error {
	now, err := seenRefs(ctx, g, m)
	if err != nil {
		return err
	}
	return differ(now, m)
}

// differ says where two manifests differ; nil when their bytes are equal.
func differ(now, want *refs.Manifest) error {
	if bytes.Equal(now.Encode(), want.Encode()) {
		return nil
	}
	if now.Format != want.Format {
		return fmt.Errorf("the repository's object format is %s, not %s", now.Format, want.Format)
	}
	if now.Head != want.Head || now.HeadOID != want.HeadOID {
		return fmt.Errorf("HEAD is %q, not %q", now.Head+now.HeadOID, want.Head+want.HeadOID)
	}
	for i := range max(len(now.Refs), len(want.Refs)) {
		switch {
		case i >= len(now.Refs) || i < len(want.Refs) && want.Refs[i].Name < now.Refs[i].Name:
			return fmt.Errorf("%q is missing", want.Refs[i].Name)
		case i >= len(want.Refs) || now.Refs[i].Name < want.Refs[i].Name:
			return fmt.Errorf("%q should not be there", now.Refs[i].Name)
		case now.Refs[i] != want.Refs[i]:
			return fmt.Errorf("%q is %s, not %s", want.Refs[i].Name, value(now.Refs[i]), value(want.Refs[i]))
		}
	}
	return errors.New("the refs differ")
}

func value(r refs.Ref) string {
	if r.Symref != "" {
		return fmt.Sprintf("a symbolic ref to %q (%s)", r.Symref, r.OID)
	}
	return r.OID
}

// seenRefs returns the refs and HEAD as git sees them. Dangling symbolic refs, which git does not list, are looked for where the manifest has them; and a HEAD of
// which the manifest knows nothing is left out.
func seenRefs(ctx context.Context, g *repo, m *refs.Manifest) (*refs.Manifest, error) {
	now, err := listRefs(ctx, g)
	if err != nil {
		return nil, err
	}
	for _, r := range m.Refs {
		if r.Symref == "" || r.OID != "" {
			continue
		}
		if target, err := symbolic(ctx, g, r.Name); err != nil || target == "" {
			return nil, errors.Join(fmt.Errorf("the symbolic ref %q is missing", r.Name), err)
		} else if i, there := slices.BinarySearchFunc(now.Refs, r.Name, byName); !there {
			now.Refs = slices.Insert(now.Refs, i, refs.Ref{Name: r.Name, Symref: target})
		}
	}
	if m.Head == "" && m.HeadOID == "" {
		now.Head, now.HeadOID = "", ""
	}
	return now, nil
}

func byName(r refs.Ref, name string) int { return strings.Compare(r.Name, name) }

// listRefs returns the refs and HEAD that git lists.
func listRefs(ctx context.Context, g *repo) (*refs.Manifest, error) {
	m := &refs.Manifest{}
	format, err := g.Output(ctx, nil, "rev-parse", "--show-object-format")
	if err != nil {
		return nil, err
	}
	m.Format = strings.TrimSpace(string(format))
	out, err := g.Output(ctx, nil, "for-each-ref", "--format=%(objectname) %(symref) %(refname)")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(f) != 3 {
			return nil, fmt.Errorf("git for-each-ref printed %q", line)
		}
		m.Refs = append(m.Refs, refs.Ref{OID: f[0], Symref: f[1], Name: f[2]})
	}
	slices.SortFunc(m.Refs, func(a, b refs.Ref) int { return strings.Compare(a.Name, b.Name) })
	if m.Head, err = symbolic(ctx, g, "HEAD"); err != nil || m.Head != "" {
		return m, err
	}
	id, err := g.Output(ctx, nil, "rev-parse", "--verify", "HEAD")
	m.HeadOID = strings.TrimSpace(string(id))
	return m, err
}

// symbolic returns what a symbolic ref points to; empty when it is none.
func symbolic(ctx context.Context, g *repo, name string) (string, error) {
	out, err := g.Output(ctx, nil, "symbolic-ref", "--quiet", "--", name)
	if code(err) == 1 {
		return "", nil
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// code is the code with which git ended; 0 where it did not fail, or not by itself.
func code(err error) int {
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
