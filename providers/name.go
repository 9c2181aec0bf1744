package providers

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxName is the longest name in bytes: far above what the format uses (docs/format.md, section 1), and below every store's own limit
// (1,024 bytes on S3 and GCS) by enough for a prefix.
const maxName = 512

// CheckName refuses, as an *Error of kind Other, what no vault uses as a name: an empty one, one of more than 512 bytes, one that is not UTF-8 or
// has control characters, and one with a segment that is empty, "." or "..", with which it could leave the vault's directory. The Bucket
// checks every name before a driver sees it.
func CheckName(op, name string) error {
	if err := checkBytes(name); err != nil {
		return &Error{Kind: Other, Op: op, Name: fmt.Sprintf("%.64q", name), Err: err}
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return &Error{Kind: Other, Op: op, Name: fmt.Sprintf("%.64q", name), Err: fmt.Errorf("not a name that a vault can have: it has the segment %q", segment)}
		}
	}
	return nil
}

// CheckPrefix refuses, as an *Error of kind Other, what no name can begin with. The empty prefix is every name's.
func CheckPrefix(op, prefix string) error {
	err := checkBytes(prefix)
	if err == nil && (strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//") || strings.Contains("/"+prefix, "/../") || strings.Contains("/"+prefix, "/./")) {
		err = errors.New("not a prefix of names that a vault can have: it has an empty, . or .. segment")
	}
	if err != nil {
		return &Error{Kind: Other, Op: op, Name: fmt.Sprintf("%.64q", prefix), Err: err}
	}
	return nil
}

func checkBytes(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("not a name that a vault can have: %d bytes, at most %d", len(name), maxName)
	case !utf8.ValidString(name):
		return errors.New("not a name that a vault can have: not UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("not a name that a vault can have: it has a control character")
	}
	return nil
}
