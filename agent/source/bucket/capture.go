package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/record"
	"farshore/agent/source"
)

// Capture reads the object as it is now. It asks for the state that the entry names; when there is another one by now, it
// takes that, and begins again as often as Retry.Changes allows. An object that only moved into an archive since last was captured keeps last's parts: its
// content can't have changed.
func (s *Source) Capture(ctx context.Context, e source.Entry, last *record.Record, sink source.Sink) (*record.Record, error) {
	c := &capture{s: s, e: e, last: last, sink: sink, etag: e.Attrs[attrETag], size: e.Size}
	mismatched := false
	for n := 0; ; n++ {
		rec, err := c.once(ctx)
		switch {
		case err == nil:
			return rec, nil
		case errors.Is(err, errMismatch) && !mismatched:
			mismatched = true
		case errors.Is(err, errMismatch):
			return nil, &source.Unreadable{Reason: record.ReasonChecksum, Detail: line(err.Error()), Attrs: known(e)}
		case !isChanged(err):
			return c.judge(ctx, err)
		case n >= s.retry.Changes:
			return nil, &source.Unreadable{Reason: record.ReasonChanging, Detail: fmt.Sprintf("it changed under each of %d attempts", n+1), Attrs: known(e)}
		default:
			c.etag = "" // whatever is there now
			if emptied(err) {
				c.size = -1
			}
		}
		if err := sleep(ctx, s.retry.pause(n)); err != nil {
			return nil, err
		}
	}
}

// isChanged reports whether the object is another one by now.
func isChanged(err error) bool {
	var ae *apiError
	return errors.Is(err, errChanged) || errors.As(err, &ae) && ae.changed() || emptied(err)
}

// emptied reports whether a range begins behind the object's end: by now it is empty or shorter.
func emptied(err error) bool {
	var ae *apiError
	return errors.As(err, &ae) && ae.status == http.StatusRequestedRangeNotSatisfiable
}

// capture is one call of Capture.
type capture struct {
	s    *Source
	e    source.Entry
	last *record.Record
	sink source.Sink
	etag string // what to ask for
	size int64  // as last heard; -1: not known
}

// once reads the object from its first byte to its last.
func (c *capture) once(ctx context.Context) (*record.Record, error) {
	key := c.s.o.Prefix + c.e.Path
	g := get{key: key, etag: c.etag, checksum: true}
	if c.size > 4*c.s.o.RangeSize {
		g.checksum, g.ranged, g.end = false, true, c.s.o.RangeSize
	}
	b, err := c.s.openPatiently(ctx, g)
	if err != nil {
		return nil, err
	}
	c.size = b.total
	like := stream{s: c.s, ctx: ctx, key: key, etag: b.header.Get("Etag"), total: b.total}
	first := like
	first.end, first.body, first.tries = b.length, b, attempts{retry: c.s.retry}
	defer first.close()
	body := io.Reader(&first)
	if b.length < b.total {
		rest := c.s.readRanges(ctx, like, b.length)
		defer rest.close()
		body = io.MultiReader(&first, rest)
		if err := c.s.addChecksum(ctx, b.header, like); err != nil {
			return nil, err
		}
	}
	attrs := merge(headerAttrs(b.header), c.e)
	if b.header.Get("X-Amz-Missing-Meta") != "" {
		c.s.notes.metadataMissing.Add(1)
	}
	part, err := c.store(ctx, &checked{r: body, left: b.total, sum: c.s.statement(b.header)}, b.total)
	if err != nil {
		return nil, err
	}
	c.s.lastGood.Store(time.Now().UnixNano())
	return c.record(ctx, key, attrs, part)
}

// openPatiently asks until there is an answer that is no failure of the moment.
func (s *Source) openPatiently(ctx context.Context, g get) (*body, error) {
	tries := attempts{retry: s.retry}
	for {
		b, err := s.open(ctx, g)
		if err == nil {
			return b, nil
		}
		if err := tries.failed(ctx, err); err != nil {
			return nil, err
		}
	}
}

// addChecksum asks for the stored checksum of an object that is read in ranges: answers to ranges have none. It is put beside the headers of the
// first range, which stay what they are. A refusal means that there is none.
func (s *Source) addChecksum(ctx context.Context, h map[string][]string, like stream) error {
	b, err := s.openPatiently(ctx, get{key: like.key, etag: like.etag, checksum: true, head: true})
	var ae *apiError
	switch {
	case errors.As(err, &ae) && !ae.changed() && !ae.gone():
		return nil
	case err != nil:
		return err
	}
	defer b.close()
	for name, values := range b.header {
		if len(name) > len(checksumPrefix) && name[:len(checksumPrefix)] == checksumPrefix {
			h[name] = values
		}
	}
	return nil
}

// store hands the body to the sink. What fails in the body is the body's error, whatever the sink makes of it.
func (c *capture) store(ctx context.Context, body *checked, size int64) (record.Part, error) {
	part, err := c.sink.Part(ctx, record.Part{Kind: record.PartContent}, size, body)
	switch {
	case body.failed != nil:
		return part, body.failed
	case err != nil:
		return part, &sinkError{err}
	case !body.ended || part.Size != size:
		return part, &sinkError{fmt.Errorf("%q: the sink took %d of %d bytes", c.e.Path, size-body.left, size)}
	}
	return part, nil
}

// sinkError keeps a sink's error from being taken for the store's. It never leaves the package.
type sinkError struct{ err error }

// Error returns the sink's words.
func (e *sinkError) Error() string { return e.err.Error() }

// record puts the record together, and adds the tags where there are any.
func (c *capture) record(ctx context.Context, key string, attrs record.Attrs, part record.Part) (*record.Record, error) {
	if n := attrs["h:x-amz-tagging-count"]; n != "" && n != "0" {
		if err := c.s.addTags(ctx, key, attrs); err != nil {
			return nil, err
		}
	}
	return &record.Record{
		Path: c.e.Path, Version: c.e.Version, Kind: record.KindObject, State: record.Present, Attrs: attrs, Parts: []record.Part{part},
	}, nil
}

// addTags adds the object's tags. Tags that may not be read are counted, and the record then has their number only.
func (s *Source) addTags(ctx context.Context, key string, attrs record.Attrs) error {
	tries := attempts{retry: s.retry}
	for {
		var out *s3.GetObjectTaggingOutput
		err := s.ask(ctx, func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, s.retry.Silence)
			defer cancel()
			out, err = s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.o.Bucket, Key: &key})
			return fromSDK(err)
		})
		var ae *apiError
		switch {
		case err == nil:
			for _, t := range out.TagSet {
				attrs["t:"+deref(t.Key)] = deref(t.Value)
			}
			return nil
		case errors.As(err, &ae) && !ae.temporary() && sourceCodes[ae.code] == "":
			s.notes.tagsDenied.Add(1)
			return nil
		}
		if err := tries.failed(ctx, err); err != nil {
			return err
		}
	}
}

func deref(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// judge says what a final failure means for the item.
func (c *capture) judge(ctx context.Context, err error) (*record.Record, error) {
	var se *sinkError
	var ae *apiError
	switch {
	case errors.As(err, &se):
		return nil, se.err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &ae) && ae.gone():
		return nil, source.ErrGone
	case errors.As(err, &ae) && ae.reason() == record.ReasonArchived && c.lastGood() != nil:
		return c.moved(c.lastGood()), nil
	case errors.As(err, &ae) && ae.reason() != "":
		return nil, &source.Unreadable{Reason: ae.reason(), Detail: ae.Error(), Attrs: known(c.e)}
	case c.onlyThis(err):
		return nil, &source.Unreadable{Reason: record.ReasonOther, Detail: line(err.Error()), Attrs: known(c.e)}
	}
	return nil, c.s.failure(fmt.Sprintf("read %q", c.e.Path), err)
}

// onlyThis reports whether the store failed for as long as patience lasted on this object, while it served others: then the object is
// damaged there, not the store away.
func (c *capture) onlyThis(err error) bool {
	var ex *exhausted
	return errors.As(err, &ex) && c.s.lastGood.Load() > ex.since.UnixNano()
}

// lastGood returns the last record that has this very content, or nil.
func (c *capture) lastGood() *record.Record {
	good := c.last
	if good != nil && good.State == record.Unreadable {
		good = good.Last
	}
	if good == nil || good.State != record.Present || !sameContent(c.e, good.Attrs, good.Size()) {
		return nil
	}
	return good
}

// moved returns the good record with the class that the object has by now.
func (c *capture) moved(good *record.Record) *record.Record {
	attrs := maps.Clone(good.Attrs)
	delete(attrs, attrClass)
	set(attrs, attrClass, c.e.Attrs[attrClass])
	return &record.Record{
		Path: c.e.Path, Version: c.e.Version, Kind: record.KindObject, State: record.Present, Attrs: attrs, Parts: good.Parts,
	}
}
