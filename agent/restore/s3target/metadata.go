package s3target

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/agent/record"
)

// What a summary calls attributes that were not put back.
const (
	lostLock       = "object lock"
	lostEncryption = "server-side encryption"
	lostTags       = "tags"
	lostClass      = "storage class"
	lostMalformed  = "metadata that no header can carry"
)

// metadata is what of an item's attributes is put back.
type metadata struct {
	headers map[string]string // by attribute key: "h:content-type"
	user    map[string]string
	tags    map[string]string
	class   string
	lock    lock
	lost    []string
}

type lock struct {
	mode  string
	until time.Time
	hold  string
}

// systemHeaders are the attributes that are put back as headers, in the order in which they are compared.
var systemHeaders = []string{
	"h:content-type", "h:cache-control", "h:content-disposition", "h:content-encoding", "h:content-language", "h:expires",
	"h:x-amz-website-redirect-location",
}

// metadata reads an item's attributes.
func (t *Target) metadata(a record.Attrs) *metadata {
	m := &metadata{headers: map[string]string{}, user: map[string]string{}, tags: map[string]string{}, class: a["class"]}
	for key, v := range a {
		kind, name, _ := strings.Cut(key, ":")
		switch {
		case kind == "m" && isToken(name) && isValue(v):
			m.user[name] = v
		case kind == "t":
			m.tags[name] = v
		case slices.Contains(systemHeaders, key) && isValue(v):
			m.headers[key] = v
		case kind == "m" || slices.Contains(systemHeaders, key):
			m.lose(lostMalformed)
		}
	}
	if v := plainEncoding(m.headers["h:content-encoding"]); v != "" {
		m.headers["h:content-encoding"] = v
	} else {
		delete(m.headers, "h:content-encoding")
	}
	if sse := a["h:x-amz-server-side-encryption"]; sse != "" && sse != string(types.ServerSideEncryptionAes256) {
		m.lose(lostEncryption)
	}
	if n := a["h:x-amz-tagging-count"]; n != "" && n != "0" && len(m.tags) == 0 || t.noTags.Load() && len(m.tags) > 0 {
		m.dropTags()
	}
	m.takeLock(a, t.o.ObjectLock)
	return m
}

func (m *metadata) lose(what string) {
	if !slices.Contains(m.lost, what) {
		m.lost = append(m.lost, what)
	}
}

func (m *metadata) dropTags() {
	clear(m.tags)
	m.lose(lostTags)
}

// takeLock reads the lock. One that has run out is none.
func (m *metadata) takeLock(a record.Attrs, put bool) {
	l := lock{mode: a["h:x-amz-object-lock-mode"], hold: a["h:x-amz-object-lock-legal-hold"]}
	until, err := time.Parse(time.RFC3339Nano, a["h:x-amz-object-lock-retain-until-date"])
	if err != nil || !until.After(time.Now()) {
		l.mode = ""
	}
	if l.hold != string(types.ObjectLockLegalHoldStatusOn) {
		l.hold = ""
	}
	l.until = until
	switch {
	case l.mode == "" && l.hold == "":
	case put:
		m.lock = l
	default:
		m.lose(lostLock)
	}
}

// plainEncoding takes "aws-chunked" out of a content encoding: it speaks of how an object was once sent, and some stores keep it.
func plainEncoding(v string) string {
	var keep []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
			keep = append(keep, part)
		}
	}
	if !strings.Contains(strings.ToLower(v), "aws-chunked") {
		return v
	}
	return strings.Join(keep, ",")
}

// isToken reports whether a header's name may be so.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether a header's value may be so.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// header returns the value for a request; nil when there is none.
func (m *metadata) header(key string) *string {
	if v, ok := m.headers[key]; ok {
		return aws.String(v)
	}
	return nil
}

// tagging returns the tags as a request has them.
func (m *metadata) tagging() *string {
	if len(m.tags) == 0 {
		return nil
	}
	v := url.Values{}
	for k, tag := range m.tags {
		v.Set(k, tag)
	}
	return aws.String(v.Encode())
}

// options returns what the SDK's types can't say: Expires is any text, not always a time.
func (m *metadata) options() []func(*s3.Options) {
	if v, ok := m.headers["h:expires"]; ok {
		return []func(*s3.Options){s3.WithAPIOptions(smithyhttp.SetHeaderValue("Expires", v))}
	}
	return nil
}

func (m *metadata) put(in *s3.PutObjectInput) {
	in.ContentType, in.CacheControl = m.header("h:content-type"), m.header("h:cache-control")
	in.ContentDisposition, in.ContentEncoding = m.header("h:content-disposition"), m.header("h:content-encoding")
	in.ContentLanguage, in.WebsiteRedirectLocation = m.header("h:content-language"), m.header("h:x-amz-website-redirect-location")
	in.Metadata, in.Tagging, in.StorageClass = m.user, m.tagging(), types.StorageClass(m.class)
	if m.lock.mode != "" {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockMode(m.lock.mode), aws.Time(m.lock.until)
	}
	in.ObjectLockLegalHoldStatus = types.ObjectLockLegalHoldStatus(m.lock.hold)
}

func (m *metadata) create(in *s3.CreateMultipartUploadInput) {
	var p s3.PutObjectInput
	m.put(&p)
	in.ContentType, in.CacheControl, in.ContentDisposition, in.ContentEncoding = p.ContentType, p.CacheControl, p.ContentDisposition, p.ContentEncoding
	in.ContentLanguage, in.WebsiteRedirectLocation = p.ContentLanguage, p.WebsiteRedirectLocation
	in.Metadata, in.Tagging, in.StorageClass = p.Metadata, p.Tagging, p.StorageClass
	in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = p.ObjectLockMode, p.ObjectLockRetainUntilDate, p.ObjectLockLegalHoldStatus
}

// differs names the first header that is not as it should be. A content type that the item does not state may be any: stores add one. The
// class is not compared: stores change it with time.
func (m *metadata) differs(h *s3.HeadObjectOutput) string {
	got := map[string]*string{
		"h:content-type": h.ContentType, "h:cache-control": h.CacheControl, "h:content-disposition": h.ContentDisposition,
		"h:content-encoding": aws.String(plainEncoding(aws.ToString(h.ContentEncoding))), "h:content-language": h.ContentLanguage,
		"h:expires": h.ExpiresString, "h:x-amz-website-redirect-location": h.WebsiteRedirectLocation,
	}
	for _, key := range systemHeaders {
		want, stated := m.headers[key]
		if aws.ToString(got[key]) != want && (stated || key != "h:content-type") {
			return fmt.Sprintf("its %s differs", strings.TrimPrefix(key, "h:"))
		}
	}
	if !maps.Equal(m.user, lower(h.Metadata)) {
		return "its user metadata differs"
	}
	return ""
}

func lower(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = v
	}
	return out
}
