package s3target

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/restore"
)

// verdict is what can be said about two contents without reading them.
type verdict int

const (
	unknown verdict = iota
	equal
	differs
)

// seen is what a store says of an object's content.
type seen struct {
	size      int64
	etag      string
	kms       bool              // encrypted so that the ETag is no MD5
	checksums map[string]string // of the whole object, by the algorithm's name in lower case
}

func seenOf(h *s3.HeadObjectOutput) seen {
	s := seen{size: aws.ToInt64(h.ContentLength), etag: aws.ToString(h.ETag), checksums: map[string]string{}}
	s.kms = strings.HasPrefix(string(h.ServerSideEncryption), "aws:") || h.SSECustomerAlgorithm != nil
	if h.ChecksumType == types.ChecksumTypeComposite {
		return s
	}
	for name, v := range map[string]*string{
		"crc32": h.ChecksumCRC32, "crc32c": h.ChecksumCRC32C, "crc64nvme": h.ChecksumCRC64NVME, "sha1": h.ChecksumSHA1, "sha256": h.ChecksumSHA256,
	} {
		if whole(aws.ToString(v)) {
			s.checksums[name] = *v
		}
	}
	return s
}

// whole reports whether a checksum is that of all bytes, not one made of the parts' ("…-5").
func whole(checksum string) bool { return checksum != "" && !strings.Contains(checksum, "-") }

// hashes are the forms of ETags that are made of MD5s: of the content, or of the parts' MD5s and their number.
var (
	md5ETag   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	partsETag = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]{1,5}$`)
)

func bare(etag string) string { return strings.ToLower(strings.Trim(etag, `"`)) }

// compare judges by size, SHA-256, ETag and the other checksums, in this order. A CRC that differs proves that the contents do; one that is the same
// proves nothing unless acceptCRC says so.
func compare(it *restore.Item, s seen, acceptCRC bool) (verdict, string) {
	if s.size != it.Size {
		return differs, fmt.Sprintf("it has %d bytes, not %d", s.size, it.Size)
	}
	if sum := s.checksums["sha256"]; sum != "" {
		if sum == base64.StdEncoding.EncodeToString(it.SHA256[:]) {
			return equal, ""
		}
		return differs, "its content differs"
	}
	if v := compareETags(it, s); v == equal {
		return v, ""
	} else if v == differs {
		return v, "its content differs"
	}
	return compareChecksums(it, s, acceptCRC)
}

// compareETags trusts ETags that have the form of MD5s, where neither object was encrypted in a way that makes them something else.
func compareETags(it *restore.Item, s seen) verdict {
	mine, theirs := bare(it.Attrs["etag"]), bare(s.etag)
	if s.kms || it.Attrs["h:x-amz-server-side-encryption"] != "" && it.Attrs["h:x-amz-server-side-encryption"] != "AES256" {
		return unknown
	}
	switch {
	case md5ETag.MatchString(mine) && md5ETag.MatchString(theirs) && mine != theirs:
		return differs
	case mine == theirs && (md5ETag.MatchString(mine) || partsETag.MatchString(mine)):
		return equal
	}
	return unknown
}

func compareChecksums(it *restore.Item, s seen, acceptCRC bool) (verdict, string) {
	if it.Attrs["c:type"] == string(types.ChecksumTypeComposite) {
		return unknown, ""
	}
	result := unknown
	for name, theirs := range s.checksums {
		mine := it.Attrs["c:"+name]
		if !whole(mine) {
			continue
		}
		if mine != theirs {
			return differs, "its content differs"
		}
		if acceptCRC {
			result = equal
		}
	}
	return result, ""
}
