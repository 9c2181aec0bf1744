package keyring

import (
	"errors"
	"strings"
)

// Bech32 as in BIP 173, in capitals: what a key file's secret line is written in, as in age's files. Its checksum covers the prefix, so
// that an owner's key can't be turned into an agent's by editing the prefix, and it finds every error of up to four characters in a line of this length.

const (
	charset     = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
	checksumLen = 6
)

var errTypo = errors.New("the secret is mistyped or cut short: its checksum does not fit")

// polymod is the checksum's polynomial remainder over groups of five bits.
func polymod(values []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	chk := uint32(1)
	for _, v := range values {
		top := chk >> 25
		chk = (chk&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				chk ^= g
			}
		}
	}
	return chk
}

// expand turns a prefix, in lower case, into groups of five bits.
func expand(prefix string) []byte {
	prefix = strings.ToLower(prefix)
	out := make([]byte, 0, 2*len(prefix)+1)
	for i := range len(prefix) {
		out = append(out, prefix[i]>>5)
	}
	out = append(out, 0)
	for i := range len(prefix) {
		out = append(out, prefix[i]&31)
	}
	return out
}

// regroup turns groups of from bits into groups of to bits. With pad the last is filled up with zeros; without, what is left over must be zeros, fewer
// than from.
func regroup(data []byte, from, to uint, pad bool) ([]byte, bool) {
	var out []byte
	acc, n := uint32(0), uint(0)
	for _, b := range data {
		acc = acc<<from | uint32(b)
		n += from
		for n >= to {
			n -= to
			out = append(out, byte(acc>>n&(1<<to-1)))
		}
		acc &= 1<<n - 1
	}
	if pad {
		if n > 0 {
			out = append(out, byte(acc<<(to-n)))
		}
		return out, true
	}
	return out, n < from && acc == 0
}

// encodeSecret writes data as prefix, "1", data and checksum.
func encodeSecret(prefix string, data []byte) string {
	groups, _ := regroup(data, 8, 5, true)
	chk := polymod(append(append(expand(prefix), groups...), make([]byte, checksumLen)...)) ^ 1
	for i := range checksumLen {
		groups = append(groups, byte(chk>>(5*(checksumLen-1-i))&31))
	}
	var b strings.Builder
	b.WriteString(strings.ToUpper(prefix) + "1")
	for _, g := range groups {
		b.WriteByte(charset[g])
	}
	return b.String()
}

// decodeSecret reads what encodeSecret wrote for the prefix, in capitals or in small letters throughout. The error never repeats the text.
func decodeSecret(prefix, s string) ([]byte, error) {
	if upper := strings.ToUpper(s); s != upper && s != strings.ToLower(s) {
		return nil, errTypo
	} else {
		s = upper
	}
	text, ok := strings.CutPrefix(s, strings.ToUpper(prefix)+"1")
	if !ok || len(text) < checksumLen {
		return nil, errTypo
	}
	groups := make([]byte, len(text))
	for i := range len(text) {
		g := strings.IndexByte(charset, text[i])
		if g < 0 {
			return nil, errTypo
		}
		groups[i] = byte(g)
	}
	if polymod(append(expand(prefix), groups...)) != 1 {
		return nil, errTypo
	}
	data, ok := regroup(groups[:len(groups)-checksumLen], 5, 8, false)
	if !ok {
		return nil, errTypo
	}
	return data, nil
}
