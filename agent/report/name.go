package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Room is what the names of all reports begin with.
const Room = "reports/"

const (
	signerDigits = 32
	chainDigits  = 32
	// nameDigits are those of the first 8 bytes of an object's name, and firstName the least such.
	nameDigits = 16
	firstName  = "0000000000000000"
	seqDigits  = 10
	maxSeq     = 9_999_999_999
)

// Name is the name of report number seq, from 1 to 9,999,999,999, by the key of that id.
func Name(signer string, seq int64) string {
	return fmt.Sprintf("%s%s/%0*d", Room, signer, seqDigits, seq)
}

// ParseName reads a name that Name writes.
func ParseName(name string) (signer string, seq int64, err error) {
	rest, found := strings.CutPrefix(name, Room)
	signer, number, slash := strings.Cut(rest, "/")
	if !found || !slash || !isHex(signer, signerDigits) || len(number) != seqDigits || strings.Trim(number, "0123456789") != "" {
		return "", 0, fmt.Errorf("%.120q is not a name of the form reports/<key id>/<seq>", name)
	}
	seq, err = strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 {
		return "", 0, fmt.Errorf("%.120q has no number from 1 on", name)
	}
	return signer, seq, nil
}

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" }
