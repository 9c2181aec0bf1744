package record

import (
	"fmt"
	"strconv"
	"strings"
)

// Rooms of a vault: the first words of the names of its objects.
const (
	roomVault   = "vault"
	roomPacks   = "packs"
	roomMeta    = "meta"
	roomCommits = "commits"
	roomReports = "reports"
)

const (
	statementDigits = 8
	seqDigits       = 10
	chainDigits     = 32
	keyIDDigits     = 32
	domainIDDigits  = 16
	maxStatement    = 99_999_999
	maxSeq          = 9_999_999_999
)

// PackName is the name of the pack whose stored bytes have the hash.
func PackName(h Hash) string { return hashedName(roomPacks, h) }

// MetaName is the name of the page or public list whose stored bytes have the hash.
func MetaName(h Hash) string { return hashedName(roomMeta, h) }

func hashedName(room string, h Hash) string {
	s := h.String()
	return room + "/" + s[:2] + "/" + s
}

// StatementName is the name of the owner's statement number n, from 1 to 99,999,999.
func StatementName(n int64, h Hash) string {
	return fmt.Sprintf("%s/%0*d-%s", roomVault, statementDigits, n, h)
}

// CommitName is the name of commit number seq, from 1 to 9,999,999,999, in the chain.
func CommitName(chain string, seq int64) string {
	return fmt.Sprintf("%s/%s/%0*d", roomCommits, chain, seqDigits, seq)
}

// ParsePackName reads a name that PackName writes.
func ParsePackName(name string) (Hash, error) { return parseHashedName(roomPacks, name) }

// ParseMetaName reads a name that MetaName writes.
func ParseMetaName(name string) (Hash, error) { return parseHashedName(roomMeta, name) }

func parseHashedName(room, name string) (Hash, error) {
	h, err := ParseHash(name[strings.LastIndexByte(name, '/')+1:])
	if err != nil || name != hashedName(room, h) {
		return Hash{}, fmt.Errorf("%s is not a name of the form %s/<hh>/<hash>", quote(name), room)
	}
	return h, nil
}

// ParseStatementName reads a name that StatementName writes.
func ParseStatementName(name string) (n int64, h Hash, err error) {
	rest, found := strings.CutPrefix(name, roomVault+"/")
	number, hash, dash := strings.Cut(rest, "-")
	n, ok := parseNumber(number, statementDigits)
	h, err = ParseHash(hash)
	if !found || !dash || !ok || err != nil {
		return 0, Hash{}, fmt.Errorf("%s is not a name of the form vault/<n>-<hash>", quote(name))
	}
	return n, h, nil
}

// ParseCommitName reads a name that CommitName writes.
func ParseCommitName(name string) (chain string, seq int64, err error) {
	rest, found := strings.CutPrefix(name, roomCommits+"/")
	chain, number, slash := strings.Cut(rest, "/")
	seq, ok := parseNumber(number, seqDigits)
	if !found || !slash || !ok || !isHex(chain, chainDigits) {
		return "", 0, fmt.Errorf("%s is not a name of the form commits/<chain>/<seq>", quote(name))
	}
	return chain, seq, nil
}

// parseNumber reads exactly so many decimal digits of a number that is at least 1.
func parseNumber(s string, digits int) (int64, bool) {
	if len(s) != digits || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 1
}

// IsCanary reports whether the name is one of the append-only probe's, which readers ignore: `<room>/canary/<id>`, the id being
// 1 to 64 of a-z, 0-9 and "-".
func IsCanary(name string) bool {
	room, rest, _ := strings.Cut(name, "/")
	id, found := strings.CutPrefix(rest, "canary/")
	switch room {
	case roomVault, roomPacks, roomMeta, roomCommits, roomReports:
		return found && isCanaryID(id)
	}
	return false
}

func isCanaryID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 64
}
