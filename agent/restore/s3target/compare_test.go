package s3target

import (
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/record"
	"farshore/agent/restore"
)

const (
	md5A, md5B = `"0123456789abcdef0123456789abcdef"`, `"fedcba9876543210fedcba9876543210"`
	partsA     = `"0123456789abcdef0123456789abcdef-3"`
)

func TestCompare(t *testing.T) {
	sum := record.Hash{1, 2, 3}
	sha, other := base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(make([]byte, 32))
	type sums = map[string]string
	for name, tt := range map[string]struct {
		attrs record.Attrs
		seen  seen
		crc   bool
		want  verdict
	}{
		"size":                      {record.Attrs{"etag": md5A}, seen{size: 9, etag: md5A}, false, differs},
		"nothing known":             {record.Attrs{}, seen{size: 10}, false, unknown},
		"same md5":                  {record.Attrs{"etag": md5A}, seen{size: 10, etag: md5A}, false, equal},
		"same md5, bare":            {record.Attrs{"etag": md5A}, seen{size: 10, etag: bare(md5A)}, false, equal},
		"other md5":                 {record.Attrs{"etag": md5A}, seen{size: 10, etag: md5B}, false, differs},
		"same parts":                {record.Attrs{"etag": partsA}, seen{size: 10, etag: partsA}, false, equal},
		"other parts":               {record.Attrs{"etag": partsA}, seen{size: 10, etag: md5A}, false, unknown},
		"opaque, same":              {record.Attrs{"etag": `"7"`}, seen{size: 10, etag: `"7"`}, false, unknown},
		"no etags":                  {record.Attrs{"etag": ""}, seen{size: 10, etag: ""}, false, unknown},
		"kms at the target":         {record.Attrs{"etag": md5A}, seen{size: 10, etag: md5B, kms: true}, false, unknown},
		"kms at the source":         {record.Attrs{"etag": md5A, "h:x-amz-server-side-encryption": "aws:kms"}, seen{size: 10, etag: md5B}, false, unknown},
		"sse-s3 keeps the md5":      {record.Attrs{"etag": md5A, "h:x-amz-server-side-encryption": "AES256"}, seen{size: 10, etag: md5A}, false, equal},
		"sha256":                    {record.Attrs{"etag": md5A}, seen{size: 10, etag: md5B, kms: true, checksums: sums{"sha256": sha}}, false, equal},
		"sha256 before the md5":     {record.Attrs{"etag": md5A}, seen{size: 10, etag: md5A, checksums: sums{"sha256": other}}, false, differs},
		"crc differs":               {record.Attrs{"c:crc32c": "AAAAAA=="}, seen{size: 10, checksums: sums{"crc32c": "AAAAAQ=="}}, false, differs},
		"crc is the same":           {record.Attrs{"c:crc32c": "AAAAAA=="}, seen{size: 10, checksums: sums{"crc32c": "AAAAAA=="}}, false, unknown},
		"crc is the same, accepted": {record.Attrs{"c:crc64nvme": "x", "c:type": "FULL_OBJECT"}, seen{size: 10, checksums: sums{"crc64nvme": "x"}}, true, equal},
		"other algorithms":          {record.Attrs{"c:crc32": "x"}, seen{size: 10, checksums: sums{"crc32c": "y"}}, true, unknown},
		"crc of parts":              {record.Attrs{"c:crc32c": "x", "c:type": "COMPOSITE"}, seen{size: 10, checksums: sums{"crc32c": "y"}}, true, unknown},
		"crc of parts by its form":  {record.Attrs{"c:crc32c": "x-3"}, seen{size: 10, checksums: sums{"crc32c": "y"}}, true, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := compare(&restore.Item{Size: 10, SHA256: sum, Attrs: tt.attrs}, tt.seen, tt.crc)
			if got != tt.want || (got == differs) != (why != "") {
				t.Errorf("%v, %q, want %v", got, why, tt.want)
			}
		})
	}
}

func TestSeenIgnoresChecksumsOfParts(t *testing.T) {
	s := seenOf(&s3.HeadObjectOutput{ChecksumSHA256: aws.String("x"), ChecksumType: "COMPOSITE"})
	if len(s.checksums) != 0 {
		t.Errorf("%v", s.checksums)
	}
	s = seenOf(&s3.HeadObjectOutput{ChecksumSHA256: aws.String("x-2"), ChecksumCRC32C: aws.String("y"), ServerSideEncryption: "aws:kms:dsse"})
	if len(s.checksums) != 1 || s.checksums["crc32c"] != "y" || !s.kms {
		t.Errorf("%+v", s)
	}
}

func TestPartSize(t *testing.T) {
	const gib = 1 << 30
	for name, tt := range map[string]struct {
		size int64
		etag string
		want int64
	}{
		"empty":                      {0, md5A, 0},
		"small":                      {100, md5A, 0},
		"largest in one":             {64 * mib, md5A, 0},
		"a byte more":                {64*mib + 1, md5A, 16 * mib},
		"most of the least":          {160_000 * mib, md5A, 16 * mib},
		"a byte more than that":      {160_000*mib + 1, md5A, 17 * mib},
		"largest of all":             {50_000 * gib, "", 5120 * mib},
		"parts of 8":                 {20 * mib, `"0123456789abcdef0123456789abcdef-3"`, 8 * mib},
		"parts of 5":                 {20 * mib, `"0123456789abcdef0123456789abcdef-4"`, 5 * mib},
		"one part":                   {7, `"0123456789abcdef0123456789abcdef-1"`, 8 * mib},
		"parts of an unusual size":   {700 * mib, `"0123456789abcdef0123456789abcdef-39"`, 18 * mib},
		"parts that can't be":        {7, `"0123456789abcdef0123456789abcdef-3"`, 0},
		"parts that are too large":   {gib, `"0123456789abcdef0123456789abcdef-2"`, 16 * mib},
		"parts that are too many":    {gib, `"0123456789abcdef0123456789abcdef-99999"`, 16 * mib},
		"empty of parts":             {0, `"0123456789abcdef0123456789abcdef-1"`, 0},
		"an opaque etag of the kind": {7, `"x-3"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			it := &restore.Item{Size: tt.size, Attrs: record.Attrs{"etag": tt.etag}}
			got := partSize(it, 64*mib, 16*mib)
			if got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
			if got > 0 && (tt.size+got-1)/got > maxParts {
				t.Errorf("%d parts", (tt.size+got-1)/got)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for name, tt := range map[string]struct {
		attrs    record.Attrs
		lock     bool
		encoding string
		user     int
		lost     []string
	}{
		"none":                 {record.Attrs{"etag": md5A, "modified": future, "c:crc32": "x"}, false, "", 0, nil},
		"user":                 {record.Attrs{"m:a": "1", "m:b": "\xff é"}, false, "", 2, nil},
		"aws-chunked":          {record.Attrs{"h:content-encoding": "aws-chunked"}, false, "", 0, nil},
		"aws-chunked and more": {record.Attrs{"h:content-encoding": "aws-chunked,gzip, br"}, false, "gzip,br", 0, nil},
		"encoding as it is":    {record.Attrs{"h:content-encoding": "gzip, br"}, false, "gzip, br", 0, nil},
		"line break":           {record.Attrs{"m:a": "1\r\nX-Evil: 2", "m:b\n": "1", "h:content-type": "a\x00"}, false, "", 0, []string{lostMalformed}},
		"kms":                  {record.Attrs{"h:x-amz-server-side-encryption": "aws:kms"}, false, "", 0, []string{lostEncryption}},
		"sse-s3":               {record.Attrs{"h:x-amz-server-side-encryption": "AES256"}, false, "", 0, nil},
		"unread tags":          {record.Attrs{"h:x-amz-tagging-count": "2"}, false, "", 0, []string{lostTags}},
		"no tags":              {record.Attrs{"h:x-amz-tagging-count": "0"}, false, "", 0, nil},
		"lock":                 {record.Attrs{"h:x-amz-object-lock-mode": "COMPLIANCE", "h:x-amz-object-lock-retain-until-date": future}, false, "", 0, []string{lostLock}},
		"lock, put back":       {record.Attrs{"h:x-amz-object-lock-mode": "COMPLIANCE", "h:x-amz-object-lock-retain-until-date": future}, true, "", 0, nil},
		"lock, run out":        {record.Attrs{"h:x-amz-object-lock-mode": "COMPLIANCE", "h:x-amz-object-lock-retain-until-date": "2020-01-01T00:00:00Z"}, false, "", 0, nil},
		"hold":                 {record.Attrs{"h:x-amz-object-lock-legal-hold": "ON"}, false, "", 0, []string{lostLock}},
		"hold off":             {record.Attrs{"h:x-amz-object-lock-legal-hold": "OFF"}, false, "", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := (&Target{o: Options{ObjectLock: tt.lock}}).metadata(tt.attrs)
			if m.headers["h:content-encoding"] != tt.encoding || len(m.user) != tt.user || !slices.Equal(m.lost, tt.lost) {
				t.Errorf("%+v", m)
			}
		})
	}
}
