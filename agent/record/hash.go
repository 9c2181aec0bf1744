package record

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Encodings of base64, which refuse bits that stand for nothing, so that bytes have one spelling.
var (
	paddedBase64 = base64.StdEncoding.Strict()
	plainBase64  = base64.RawStdEncoding.Strict()
)

// hexValue gives the value of a lower-case hexadecimal digit, and noDigit for every other byte.
var hexValue = makeHexValue()

const noDigit = 0xff

func makeHexValue() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}

// ParseHash reads 64 lower-case hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, fmt.Errorf("%s is no hash: it needs 64 digits and has %d", quote(s), len(s))
	}
	if !decodeHex(h[:], s) {
		return Hash{}, fmt.Errorf("%s is no hash: it needs 64 digits of 0-9a-f", quote(s))
	}
	return h, nil
}

// String writes 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero hash, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes the hash as String does. It never fails.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads the hash as ParseHash does.
func (h *Hash) UnmarshalText(text []byte) error {
	v, err := ParseHash(string(text))
	if err == nil {
		*h = v
	}
	return err
}

// decodeHex fills dst from twice as many lower-case digits and reports whether they all were.
func decodeHex[T string | []byte](dst []byte, s T) bool {
	for i := range dst {
		hi, lo := hexValue[s[2*i]], hexValue[s[2*i+1]]
		if hi|lo == noDigit {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if hexValue[s[i]] == noDigit {
			return false
		}
	}
	return true
}

// decodeBase64 reads s as the encoding's one spelling: the standard library would skip line breaks.
func decodeBase64(e *base64.Encoding, s string) ([]byte, error) {
	b, err := e.DecodeString(s)
	if err == nil && !strings.ContainsAny(s, "\r\n") {
		return b, nil
	}
	if e == paddedBase64 {
		return nil, fmt.Errorf("%s is not padded base64", quote(s))
	}
	return nil, fmt.Errorf("%s is not base64 without padding", quote(s))
}

// quote writes what a stranger sent so that it fits an error's line.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%+q…", s[:most])
	}
	return fmt.Sprintf("%+q", s)
}
