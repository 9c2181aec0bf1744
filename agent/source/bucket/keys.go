package bucket

import (
	"strings"
	"unicode/utf8"
)

// decodeKey undoes encoding-type=url of a listing: %XX is a byte, a plus sign is a space. The result is raw bytes.
func decodeKey(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", broken("listed a key that is not url-encoded: %q", s)
			}
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// maxKey is the longest key of S3, in bytes.
const maxKey = 1024

// before returns a string smaller than path with hardly a key between the two: a listing that starts after it has path and little else
// that must be skipped. S3 has no listing that includes its starting point, and a string has no greatest string below it unless it ends in a zero byte. The
// result is UTF-8 where path is, since stores refuse other bytes in a request. An empty path has none.
func before(path string) string {
	r, n := utf8.DecodeLastRuneInString(path)
	head := path[:len(path)-n]
	switch {
	case n == 0:
		return ""
	case r == utf8.RuneError && n == 1: // not UTF-8: the byte before, and the greatest byte
		return limit(head+string([]byte{path[len(path)-1] - 1}), "\xff")
	case r <= 1: // a zero byte is next to nothing, and many stores take none in a request
		return head
	case r == 0xE000:
		r = 0xD7FF // what lies between are surrogates, which UTF-8 does not have
	default:
		r--
	}
	return limit(head+string(r), "\U0010FFFF")
}

// limit appends the tail where the result is no longer than a key can be.
func limit(s, tail string) string {
	if len(s)+len(tail) > maxKey {
		return s
	}
	return s + tail
}
