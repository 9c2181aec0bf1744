package s3target

import (
	"strconv"
	"strings"

	"farshore/agent/restore"
)

// Bounds of multipart uploads.
const (
	maxParts    = 10_000
	minPart     = 5 << 20  // of every part but the last
	maxBuffered = 64 << 20 // of a part whose size may be chosen
	mib         = 1 << 20
)

// usualParts are the part sizes that programs use by default, in MiB, the most common first.
var usualParts = []int64{8, 16, 5, 64, 32, 10, 15, 25, 50, 20, 12, 6, 40}

// partSize returns the size of the parts in which an object is sent, 0 where it is sent as a whole. An object whose ETag says that it was made of
// parts is made of parts of a likely size again, so that the ETag may come out the same.
func partSize(it *restore.Item, singlePut, least int64) int64 {
	if n := partsOf(it.Attrs["etag"]); n > 0 {
		if size := likelyPart(it.Size, n); size > 0 {
			return size
		}
	}
	if it.Size <= singlePut {
		return 0
	}
	for size := least; ; size += mib {
		if (it.Size+size-1)/size <= maxParts {
			return size
		}
	}
}

// partsOf returns the number of parts that an ETag states, 0 when it states none.
func partsOf(etag string) int64 {
	tag := bare(etag)
	if !partsETag.MatchString(tag) {
		return 0
	}
	n, err := strconv.ParseInt(tag[strings.IndexByte(tag, '-')+1:], 10, 64)
	if err != nil || n > maxParts {
		return 0
	}
	return n
}

// likelyPart returns a size of which an object of so many bytes has n parts, 0 when none can be chosen.
func likelyPart(size, n int64) int64 {
	if size == 0 {
		return 0
	}
	fits := func(part int64) bool {
		return part <= maxBuffered && (size+part-1)/part == n && (n == 1 || part >= minPart)
	}
	for _, m := range usualParts {
		if fits(m * mib) {
			return m * mib
		}
	}
	if part := ((size+n-1)/n + mib - 1) / mib * mib; fits(part) {
		return part
	}
	return 0
}
