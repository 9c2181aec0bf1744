package gcstarget

import (
	"encoding/base64"
	"encoding/binary"
	"maps"
	"strings"
	"unicode/utf8"

	"cloud.google.com/go/storage"

	"farshore/agent/record"
)

// crc32cOf returns the CRC32C of the whole content, where the source stated one.
func crc32cOf(a record.Attrs) (sum uint32, ok bool) {
	b, err := base64.StdEncoding.DecodeString(a["c:crc32c"])
	if err != nil || len(b) != 4 || a["c:type"] == "COMPOSITE" {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// metadata is what of an item's attributes is put back.
type metadata struct {
	contentType, cacheControl, disposition, encoding, language string
	custom                                                     map[string]string
	lost                                                       []string
}

// homeless are the attributes that this store has no place for, and what a summary calls them.
var homeless = map[string]string{
	"h:expires": "expires", "h:x-amz-website-redirect-location": "website redirect", "h:x-amz-object-lock-mode": "object lock",
	"h:x-amz-object-lock-legal-hold": "object lock", "class": "storage class", "h:x-amz-server-side-encryption-aws-kms-key-id": "server-side encryption",
}

func metadataOf(a record.Attrs) *metadata {
	m := &metadata{
		contentType: a["h:content-type"], cacheControl: a["h:cache-control"], disposition: a["h:content-disposition"],
		encoding: plainEncoding(a["h:content-encoding"]), language: a["h:content-language"], custom: map[string]string{},
	}
	lost := map[string]bool{}
	for key, v := range a {
		name, isUser := strings.CutPrefix(key, "m:")
		switch {
		case isUser && utf8.ValidString(name) && utf8.ValidString(v):
			m.custom[name] = v
		case isUser:
			lost["metadata that is not UTF-8"] = true
		case strings.HasPrefix(key, "t:"), key == "h:x-amz-tagging-count" && v != "0":
			lost["tags"] = true
		case homeless[key] != "" && v != "OFF":
			lost[homeless[key]] = true
		}
	}
	for what := range lost {
		m.lost = append(m.lost, what)
	}
	return m
}

// plainEncoding takes "aws-chunked" out of a content encoding: it speaks of how an object was once sent.
func plainEncoding(v string) string {
	var keep []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, ",")
}

func (m *metadata) set(w *storage.Writer) {
	w.ContentType, w.CacheControl, w.ContentDisposition = m.contentType, m.cacheControl, m.disposition
	w.ContentEncoding, w.ContentLanguage, w.Metadata = m.encoding, m.language, m.custom
}

// differs names the first field that is not as it should be. A content type that the item does not state may be any.
func (m *metadata) differs(a *storage.ObjectAttrs) string {
	switch {
	case m.contentType != "" && m.contentType != a.ContentType:
		return "its content-type differs"
	case m.cacheControl != a.CacheControl:
		return "its cache-control differs"
	case m.disposition != a.ContentDisposition:
		return "its content-disposition differs"
	case m.encoding != a.ContentEncoding:
		return "its content-encoding differs"
	case m.language != a.ContentLanguage:
		return "its content-language differs"
	case !maps.Equal(m.custom, a.Metadata):
		return "its user metadata differs"
	}
	return ""
}
