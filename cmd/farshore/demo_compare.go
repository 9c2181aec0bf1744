package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// demoComparison is what was compared and how it ended.
type demoComparison struct {
	Items int64 `json:"items"`
	Bytes int64 `json:"bytes"`
	// Attributes are the headers, metadata and tags that were compared.
	Attributes int64 `json:"attributes,omitempty"`
	// Refs, GitObjects and Revisions are those of repositories, which are the items then. Bytes are those of dumps.
	Refs       int64 `json:"refs,omitempty"`
	GitObjects int64 `json:"git_objects,omitempty"`
	Revisions  int64 `json:"revisions,omitempty"`
	// Differences counts what is not as it should be, and Examples names some of it.
	Differences int64    `json:"differences"`
	Examples    []string `json:"examples,omitempty"`
}

// demoLedger counts while several compare.
type demoLedger struct {
	mu  sync.Mutex
	out demoComparison
}

// maxDemoExamples bounds how many differences are named.
const maxDemoExamples = 10

// compared counts one item; why says how it differs, "" where it does not.
func (l *demoLedger) compared(key string, bytes, attributes int64, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.out
	c.Items++
	c.Bytes += bytes
	c.Attributes += attributes
	if why != "" {
		c.differs(key, why)
	}
}

// differs counts a difference.
func (c *demoComparison) differs(key, why string) {
	if c.Differences++; len(c.Examples) < maxDemoExamples {
		c.Examples = append(c.Examples, printable(key)+": "+why)
	}
}

// unexpected counts something that should not be there.
func (l *demoLedger) unexpected(key string) {
	l.compared(key, 0, 0, "it should not be there")
	l.out.Items--
}

// err returns the differences as a failure.
func (c *demoComparison) err(where string) error {
	if c.Differences == 0 {
		return nil
	}
	return damagef("%s: %s after the restore: %s", where, plural(c.Differences, "difference"), strings.Join(c.Examples, "; ")).with("`farshore demo --keep DIR` keeps everything, to look at it")
}

// compareBucket holds the bucket to what it should have: each object's bytes and headers, and no object more.
func (c *demoCloud) compareBucket(ctx context.Context, want demoObjects) (demoComparison, error) {
	ledger := &demoLedger{}
	keys, err := c.keys(ctx)
	if err != nil {
		return ledger.out, err
	}
	for _, key := range keys {
		if _, ok := want[key]; !ok {
			ledger.unexpected(key)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(demoWorkers)
	for _, key := range want.sorted() {
		g.Go(func() error { return c.compareObject(ctx, ledger, key, want[key]) })
	}
	err = g.Wait()
	return ledger.out, err
}

func (c *demoCloud) compareObject(ctx context.Context, ledger *demoLedger, key string, want demoObject) error {
	got, err := c.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(demoBucket), Key: &key})
	if isMissing(err) {
		ledger.compared(key, 0, 0, "it is missing")
		return nil
	}
	if err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	body, err := io.ReadAll(got.Body)
	if err = errors.Join(err, got.Body.Close()); err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	headers := demoHeaders{
		contentType: aws.ToString(got.ContentType), cacheControl: aws.ToString(got.CacheControl), disposition: aws.ToString(got.ContentDisposition),
		encoding: aws.ToString(got.ContentEncoding), language: aws.ToString(got.ContentLanguage), expires: aws.ToString(got.ExpiresString), meta: got.Metadata,
	}
	if headers.tags, err = c.tags(ctx, key); err != nil {
		return fmt.Errorf("tags of %q: %w", key, err)
	}
	why := want.differs(body)
	if why == "" {
		why = want.demoHeaders.differ(headers)
	}
	ledger.compared(key, int64(len(body)), headers.count(), why)
	return nil
}

func isMissing(err error) bool {
	var api interface{ ErrorCode() string }
	return errors.As(err, &api) && api.ErrorCode() == "NoSuchKey"
}

func (c *demoCloud) tags(ctx context.Context, key string) (map[string]string, error) {
	got, err := c.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: aws.String(demoBucket), Key: &key})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range got.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// texts returns the headers by name.
func (h demoHeaders) texts() map[string]string {
	return map[string]string{
		"content type": h.contentType, "cache control": h.cacheControl, "content disposition": h.disposition,
		"content encoding": h.encoding, "content language": h.language, "expires": h.expires,
	}
}

// count is how many headers, metadata and tags there are.
func (h demoHeaders) count() int64 {
	n := len(h.meta) + len(h.tags)
	for _, v := range h.texts() {
		if v != "" {
			n++
		}
	}
	return int64(n)
}

// differ says which header differs, "" for none.
func (h demoHeaders) differ(got demoHeaders) string {
	texts := got.texts()
	for name, want := range h.texts() {
		if texts[name] != want {
			return fmt.Sprintf("its %s is %q, not %q", name, texts[name], want)
		}
	}
	if !maps.Equal(h.meta, got.meta) {
		return fmt.Sprintf("its user metadata is %v, not %v", got.meta, h.meta)
	}
	if !maps.Equal(h.tags, got.tags) {
		return fmt.Sprintf("its tags are %v, not %v", got.tags, h.tags)
	}
	return ""
}

// compareDirectory holds a directory to what it should have. renamed are the items that a file system can't hold under their own names.
func compareDirectory(root string, want demoObjects, renamed map[string]string) (demoComparison, error) {
	ledger := &demoLedger{}
	known := map[string]bool{}
	for _, key := range want.sorted() {
		name := key
		if as, ok := renamed[key]; ok {
			name = as
		}
		known[name] = true
		got, err := readBelow(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			ledger.compared(key, 0, 0, "it is missing")
			continue
		}
		if err != nil {
			return ledger.out, err
		}
		ledger.compared(key, int64(len(got)), 0, want[key].differs(got))
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err == nil && !known[filepath.ToSlash(name)] {
			ledger.unexpected(name)
		}
		return err
	})
	return ledger.out, err
}

// readBelow reads a file below root, and none elsewhere.
func readBelow(root, name string) ([]byte, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q is no name below the directory", name)
	}
	return os.ReadFile(filepath.Join(root, name))
}

// compareLists counts what one of two lists has and the other has not.
func (c *demoComparison) compareLists(what string, got, want []string) {
	if slices.Equal(got, want) {
		return
	}
	for _, side := range []struct {
		list, other []string
		why         string
	}{{want, got, "it is missing"}, {got, want, "it should not be there"}} {
		for _, x := range missingFrom(side.other, side.list) {
			c.differs(what+" "+x, side.why)
		}
	}
	if c.Differences == 0 {
		c.differs(what, "they are not in the same order")
	}
}

// missingFrom returns what of a list another does not have.
func missingFrom(other, list []string) (missing []string) {
	has := make(map[string]bool, len(other))
	for _, x := range other {
		has[x] = true
	}
	for _, x := range list {
		if !has[x] {
			missing = append(missing, x)
		}
	}
	return missing
}

// compareFile holds a file below root to its content.
func (c *demoComparison) compareFile(root, name, want string) {
	got, err := readBelow(root, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.differs(name, "it is missing")
	case err != nil:
		c.differs(name, err.Error())
	case string(got) != want:
		c.differs(name, "its content differs")
	}
}
