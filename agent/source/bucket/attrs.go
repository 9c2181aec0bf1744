package bucket

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/record"
	"farshore/agent/source"
)

// Keys of attributes (docs/format.md, section 5.1.1).
const (
	attrETag     = "etag"
	attrModified = "modified"
	attrVersion  = "version-id"
	attrClass    = "class"
	attrSize     = "size"
	// attrRestored is of entries only, and only where the listing tells: "true" for an archived object of which a readable copy is there.
	attrRestored = "restored"
)

const classStandard = "STANDARD"

// systemHeaders maps the headers that a record keeps to the keys of its attributes.
var systemHeaders = map[string]string{
	"Cache-Control":                                   "h:cache-control",
	"Content-Disposition":                             "h:content-disposition",
	"Content-Encoding":                                "h:content-encoding",
	"Content-Language":                                "h:content-language",
	"Content-Type":                                    "h:content-type",
	"Expires":                                         "h:expires",
	"X-Amz-Website-Redirect-Location":                 "h:x-amz-website-redirect-location",
	"X-Amz-Server-Side-Encryption":                    "h:x-amz-server-side-encryption",
	"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id":     "h:x-amz-server-side-encryption-aws-kms-key-id",
	"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "h:x-amz-server-side-encryption-bucket-key-enabled",
	"X-Amz-Object-Lock-Mode":                          "h:x-amz-object-lock-mode",
	"X-Amz-Object-Lock-Retain-Until-Date":             "h:x-amz-object-lock-retain-until-date",
	"X-Amz-Object-Lock-Legal-Hold":                    "h:x-amz-object-lock-legal-hold",
	"X-Amz-Tagging-Count":                             "h:x-amz-tagging-count",
	"X-Amz-Mp-Parts-Count":                            "h:x-amz-mp-parts-count",
	"X-Amz-Replication-Status":                        "h:x-amz-replication-status",
}

const metaPrefix = "X-Amz-Meta-"

// headerAttrs returns the attributes that an object's answer gives. Values are kept as they came: encoded words of RFC 2047 stay encoded,
// and bytes that are not UTF-8 stay bytes.
func headerAttrs(h http.Header) record.Attrs {
	a := make(record.Attrs, 8)
	for name, values := range h {
		switch {
		case systemHeaders[name] != "":
			a[systemHeaders[name]] = join(values)
		case strings.HasPrefix(name, metaPrefix):
			a["m:"+strings.ToLower(name[len(metaPrefix):])] = join(values)
		case strings.HasPrefix(name, checksumPrefix):
			a["c:"+strings.ToLower(name[len(checksumPrefix):])] = join(values)
		}
	}
	set(a, attrETag, h.Get("Etag"))
	set(a, attrClass, class(h.Get("X-Amz-Storage-Class")))
	if v := h.Get("X-Amz-Version-Id"); v != "null" {
		set(a, attrVersion, v)
	}
	if t, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
		a[attrModified] = record.FormatTime(t)
	}
	return a
}

// join puts a header that came more than once together as HTTP says.
func join(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, ",")
}

func set(a record.Attrs, key, value string) {
	if value != "" {
		a[key] = value
	}
}

func class(c string) string {
	if c == classStandard {
		return ""
	}
	return c
}

// listedAttrs returns the attributes that a listing gives.
func (s *Source) listedAttrs(o *types.Object) record.Attrs {
	a := make(record.Attrs, 4)
	if o.ETag != nil {
		set(a, attrETag, *o.ETag)
	}
	if o.LastModified != nil {
		a[attrModified] = record.FormatTime(*o.LastModified)
	}
	c := class(string(o.StorageClass))
	set(a, attrClass, c)
	if s.restore && archived(c) {
		ready := o.RestoreStatus != nil && o.RestoreStatus.RestoreExpiryDate != nil
		a[attrRestored] = strconv.FormatBool(ready)
	}
	return a
}

// archived reports whether objects of the class must be restored before they can be read.
func archived(class string) bool { return class == "GLACIER" || class == "DEEP_ARCHIVE" }

// merge puts what the listing knows better into the attributes of an answer about the same state of the object: its time has a fraction at
// some stores, where headers have whole seconds, and its class is there at stores whose headers have none.
func merge(a record.Attrs, e source.Entry) record.Attrs {
	if sameETag(a[attrETag], e.Attrs[attrETag]) && closeTimes(a[attrModified], e.Attrs[attrModified]) {
		set(a, attrModified, e.Attrs[attrModified])
		set(a, attrClass, e.Attrs[attrClass])
	}
	return a
}

// closeTimes reports whether a header's time can be the one that was listed: rounded, or noted by another part of the store. Where it
// is not, and the same bytes were put again in the meantime, the next listing shows another time, and they are captured again.
func closeTimes(header, listed string) bool {
	h, err1 := time.Parse(time.RFC3339, header)
	l, err2 := time.Parse(time.RFC3339, listed)
	return err1 != nil || err2 == nil && h.Sub(l).Abs() < 2*time.Second
}

// known returns what an entry says of an object that can't be read.
func known(e source.Entry) record.Attrs {
	a := make(record.Attrs, 4)
	for _, key := range []string{attrETag, attrModified, attrVersion, attrClass} {
		set(a, key, e.Attrs[key])
	}
	if e.Size >= 0 {
		a[attrSize] = strconv.FormatInt(e.Size, 10)
	}
	return a
}

// Unchanged reports whether the entry is what last was captured from. ETag, size, time, class and, where the listing gives it, version must all be
// the same. What could not be read is tried again in each pass, but for an archived object of which the listing says that
// nobody has restored it.
func (s *Source) Unchanged(e source.Entry, last *record.Record) bool {
	switch last.State {
	case record.Present:
		return e.Attrs[attrClass] == last.Attrs[attrClass] && sameContent(e, last.Attrs, last.Size())
	case record.Unreadable:
		size, err := strconv.ParseInt(last.Attrs[attrSize], 10, 64)
		return err == nil && last.Reason == record.ReasonArchived && archived(e.Attrs[attrClass]) && e.Attrs[attrRestored] == "false" &&
			e.Attrs[attrClass] == last.Attrs[attrClass] && sameContent(e, last.Attrs, size)
	}
	return false
}

// sameContent compares everything but the class, which a store changes without touching the object.
func sameContent(e source.Entry, a record.Attrs, size int64) bool {
	etag := e.Attrs[attrETag]
	return etag != "" && sameETag(etag, a[attrETag]) && e.Size == size && sameTime(e.Attrs[attrModified], a[attrModified]) &&
		(e.Attrs[attrVersion] == "" || e.Attrs[attrVersion] == a[attrVersion])
}

// sameETag compares without quotes: some stores list them bare.
func sameETag(a, b string) bool { return bareETag(a) == bareETag(b) }

func bareETag(etag string) string { return strings.Trim(etag, `"`) }

// sameTime compares two times; where one has no fraction of a second, neither counts: headers have none, listings may.
func sameTime(a, b string) bool {
	if a == b {
		return true
	}
	ta, err1 := time.Parse(time.RFC3339, a)
	tb, err2 := time.Parse(time.RFC3339, b)
	if err1 != nil || err2 != nil {
		return false
	}
	return (ta.Nanosecond() == 0 || tb.Nanosecond() == 0) && ta.Truncate(time.Second).Equal(tb.Truncate(time.Second))
}
