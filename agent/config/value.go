package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// checkName accepts a source's name.
func checkName(s string) error {
	if !sourceName.MatchString(s) {
		return fmt.Errorf("%q is no name: 1 to 64 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or digit", s)
	}
	return nil
}

// checkDirectory accepts any path but an empty one.
func checkDirectory(s string) error {
	if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
		return errors.New("it is empty or no path: name a directory, or leave the key out")
	}
	return nil
}

// checkFile accepts any path but an empty one.
func checkFile(s string) error {
	if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
		return errors.New("it is empty or no path: name a file, or leave the key out")
	}
	return nil
}

// checkOwner accepts a public key as the format writes it (docs/format.md, section 2).
func checkOwner(s string) error {
	if _, err := sign.ParsePublic(s); err != nil {
		return errors.New("it is no owner's public key: copy the text that begins with ed25519: from recovery.key")
	}
	return nil
}

// checkRecipient accepts an age recipient of a class that farshore seals to.
func checkRecipient(s string) error {
	if upper := strings.ToUpper(s); strings.HasPrefix(upper, "AGE-SECRET-KEY-") || strings.HasPrefix(upper, "AGE-PLUGIN-") {
		return errors.New("this is a secret identity, and belongs into the recovery kit alone: put its recipient (age1…) here, and make new keys if others could read this file")
	}
	_, err := seal.Class(s)
	return err
}

// checkRecipients accepts recipients of one class: age refuses to mix them.
func checkRecipients(all []string) error {
	count := map[string]int{}
	for _, r := range all {
		class, err := seal.Class(r)
		if err != nil {
			return err
		}
		count[class]++
	}
	switch {
	case len(all) == 0:
		return errors.New("there must be at least one, or nothing could ever be restored")
	case len(count) > 1:
		return fmt.Errorf("post-quantum (age1pq1…): %d, others: %d, and age refuses to mix them: make all of one class", count[seal.Hybrid], count[seal.X25519])
	}
	return nil
}

// reasons for which an item may be unreadable.
var reasons = []string{
	record.ReasonArchived, record.ReasonDenied, record.ReasonCustomerKey, record.ReasonKMS, record.ReasonChecksum,
	record.ReasonChanging, record.ReasonTooLarge, record.ReasonBadName, record.ReasonOther,
	record.ReasonVanished, record.ReasonBroken, record.ReasonUnsupported, record.ReasonPartial,
}

// Reasons returns the reasons that Source.Accept may hold, a copy.
func Reasons() []string { return slices.Clone(reasons) }

// checkReason accepts a reason.
func checkReason(s string) error {
	if !slices.Contains(reasons, s) {
		return fmt.Errorf("%q is no reason why an item is unreadable: they are %s", s, strings.Join(reasons, ", "))
	}
	return nil
}

var sizeText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$`)

// units are the suffixes of sizes, in bytes.
var units = map[string]float64{
	"": 1, "B": 1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// ParseSize reads a number of bytes such as 8GiB, 1.5 TB or 4096.
func ParseSize(s string) (int64, error) {
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no size: write 512MiB, 8GiB or 20MB", s)
	}
	unit, ok := units[m[2]]
	if !ok {
		return 0, fmt.Errorf("%q has no unit of size: write B, kB, MB, GB or TB (thousands), KiB, MiB, GiB or TiB (1024s)", s)
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil || f*unit > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return int64(f * unit), nil
}

// minRate is the least rate in bytes per second: below it a pack would take longer than any store waits for one.
const minRate = 16 << 10

// parseRate reads bytes per second, with or without the /s.
func parseRate(s string) (int64, error) {
	n, err := ParseSize(strings.TrimSpace(strings.TrimSuffix(s, "/s")))
	if err != nil {
		return 0, fmt.Errorf("%q is no rate: write 50MiB/s or 20MB", s)
	}
	if n < minRate {
		return 0, fmt.Errorf("%q is less than 16KiB/s: leave the key out for no limit", s)
	}
	return n, nil
}

// ParseRate reads a rate in bytes per second such as 50MiB/s or 20MB.
func ParseRate(s string) (int64, error) { return parseRate(s) }

// parseRequests reads a number of requests per second.
func parseRequests(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "/s"))
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("%q is no number of requests per second: write a whole number from 1, or leave the key out for no limit", s)
	}
	return n, nil
}

// parseEvery reads the time between two commits.
func parseEvery(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: write 90s, 10m or 1h30m", s)
	}
	if d < time.Second || d > 24*time.Hour {
		return 0, fmt.Errorf("%q is not from 1s to 24h", s)
	}
	return d, nil
}

// minCommit is the least number of bytes of a commit: one small pack.
const minCommit = 1 << 20

// parseCommitBytes reads the bytes of one commit.
func parseCommitBytes(s string) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && n < minCommit {
		err = fmt.Errorf("%q is less than 1MiB: a commit for every few objects costs more than they do", s)
	}
	return n, err
}
