package dir

import (
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// listing is what exact needs of a folder.
type listing interface {
	Lstat(name string) (fs.FileInfo, error)
	// Has reports whether the folder lists an entry with exactly this name.
	Has(name string) (bool, error)
}

// exact reports whether the entry that a lookup of name found has that very name. On file systems that fold case, normalise Unicode, drop
// final dots or know short names, "a" also finds "A". Reading the folder answers it and is slow, so first it asks for other spellings: where none
// of them finds the same entry, nothing is folded.
func exact(dir listing, name string, found fs.FileInfo) (bool, error) {
	suspect := strings.IndexByte(name, '~') >= 0
	for _, other := range spellings(name) {
		if suspect {
			break
		}
		fi, err := dir.Lstat(other)
		suspect = err == nil && sameFile(fi, found)
	}
	if !suspect {
		return true, nil
	}
	return dir.Has(name)
}

// spellings returns other names that a file system may take for this one.
func spellings(name string) []string {
	all := []string{strings.ToUpper(name), strings.ToLower(name), strings.TrimRight(name, ". "), name + "."}
	if !utf8.ValidString(name) {
		all = all[2:]
	} else if !ascii(name) {
		all = append(all, norm.NFC.String(name), norm.NFD.String(name))
	}
	out := all[:0]
	for _, s := range all {
		if s != name && s != "" && len(s) <= maxComponent {
			out = append(out, s)
		}
	}
	return out
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
