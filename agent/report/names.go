package report

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"filippo.io/age"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/seal"
)

// Bounds of Names, so that what is sealed stays within MaxSealed whatever the names are.
const (
	// maxNamesSize is the most bytes that their JSON may have.
	maxNamesSize = 192 << 10
	// namesStep is what the JSON is filled up to a multiple of, with spaces: its length must not tell the names'.
	namesStep = 4 << 10
	// maxName is the most bytes of one name; a longer one is cut.
	maxName = 512
)

// Item returns the index, from 1 on, of an item's name in n.Items, where it adds it if need be; 0 where there is no room left. It may not be called concurrently.
func (n *Names) Item(source, path string) int64 {
	name := cutTo(source+": "+path, maxName)
	if i := slices.Index(n.Items, name); i >= 0 {
		return int64(i) + 1
	}
	if len(n.Items) >= MaxNames {
		return 0
	}
	n.Items = append(n.Items, name)
	return int64(len(n.Items))
}

// SealNames seals the names to the recovery and metadata recipients of the owner's newest statement, as pages are. What is over the bounds is left out, from the end; of no names it
// returns "".
func SealNames(v *vault.Vault, n *Names) (string, error) {
	if n == nil || len(n.Sources)+len(n.Items) == 0 {
		return "", nil
	}
	plain := n.fit()
	var to []string
	for _, r := range v.Statement().Recipients {
		if r.Role == record.RoleRecovery || r.Role == record.RoleMetadata {
			to = append(to, r.Recipient)
		}
	}
	sealer, err := seal.NewSealer(to)
	if err != nil {
		return "", err
	}
	sealed, err := seal.SealBytes(sealer, plain)
	if err != nil {
		return "", err
	}
	if base64.StdEncoding.EncodedLen(len(sealed)) > MaxSealed {
		return "", fmt.Errorf("the names, sealed to %d recipients, have more than %d digits", len(to), MaxSealed)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// fit returns the JSON of as many of the names as fit, filled up with spaces.
func (n *Names) fit() []byte {
	fit := Names{Sources: map[string]string{}}
	for _, chain := range slices.Sorted(maps.Keys(n.Sources)) {
		if len(fit.Sources) < MaxSources && isHex(chain, chainDigits) {
			fit.Sources[chain] = cutTo(n.Sources[chain], maxName)
		}
	}
	for _, item := range n.Items[:min(len(n.Items), MaxNames)] {
		fit.Items = append(fit.Items, cutTo(item, maxName))
	}
	plain := shapes{}.appendValue(nil, reflect.ValueOf(fit))
	for len(plain) > maxNamesSize {
		if len(fit.Items) > 0 {
			fit.Items = fit.Items[:len(fit.Items)*3/4]
		} else {
			fit.halveSources()
		}
		plain = shapes{}.appendValue(plain[:0], reflect.ValueOf(fit))
	}
	for len(plain)%namesStep != 0 {
		plain = append(plain, ' ')
	}
	return plain
}

func (n *Names) halveSources() {
	chains := slices.Sorted(maps.Keys(n.Sources))
	for _, c := range chains[len(chains)/2:] {
		delete(n.Sources, c)
	}
}

// ErrNoNames says that the audit has no names sealed in it.
var ErrNoNames = errors.New("the audit has no names")

// OpenNames returns the names of sources and items that the audit has sealed. Errors: ErrNoNames, seal.ErrWrongKey, seal.ErrDamaged, or that what it sealed is none.
func (a *Audit) OpenNames(ids []age.Identity) (*Names, error) {
	if a.Sealed == "" {
		return nil, ErrNoNames
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(a.Sealed)
	if err != nil || len(a.Sealed) > MaxSealed || strings.ContainsAny(a.Sealed, "\r\n") {
		return nil, errors.New("report: sealed is not padded base64 of a sealed file")
	}
	plain, err := seal.OpenBytes(seal.NewOpener(ids...), sealed, maxNamesSize+namesStep)
	if err != nil {
		return nil, err
	}
	n := new(Names)
	if err := decode(plain, n, false); err != nil {
		return nil, err
	}
	if err := (shapes{}).sound(reflect.ValueOf(n).Elem(), member{}); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return n, nil
}

// Name returns the item's name of that index, "" where there is none. It may be called on nil.
func (n *Names) Name(index int64) string {
	if n == nil || index < 1 || index > int64(len(n.Items)) {
		return ""
	}
	return n.Items[index-1]
}
