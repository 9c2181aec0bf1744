package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// Request is what a new agent's host asks the owner for: to be named with these keys. It proves nothing by itself; its fingerprint is compared by voice.
type Request struct {
	VaultID string
	// Key is the agent's signing key, Metadata the recipient of its metadata identity.
	Key      sign.PublicKey
	Metadata string
	// Name is what people call the agent, or empty.
	Name string
}

const requestSchema = "farshore.request/1"

// maxName is the number of bytes that an agent's name has at most.
const maxName = 100

// requestFile is a request as it is written.
type requestFile struct {
	Schema      string `json:"schema"`
	Vault       string `json:"vault"`
	Key         string `json:"key"`
	Metadata    string `json:"metadata"`
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
}

// Fingerprint is a short text that stands for both keys of an agent, to be compared by voice: 40 hexadecimal digits of the SHA-256 of "farshore agent 1", the key and the metadata
// recipient, each with a line feed. Who would exchange either key unseen has to find another with the same 160 bits.
func Fingerprint(key, metadata string) string {
	sum := sha256.Sum256([]byte("farshore agent 1\n" + key + "\n" + metadata + "\n"))
	digits := hex.EncodeToString(sum[:20])
	var groups []string
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// Fingerprint is that of the request's keys.
func (r *Request) Fingerprint() string { return Fingerprint(r.Key.String(), r.Metadata) }

// CheckName refuses a name of an agent that could not be shown on one line.
func CheckName(name string) error {
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%.40q is no name of an agent: at most %d bytes of printable characters", name, maxName)
	}
	return nil
}

// Encode writes the request as a file.
func (r *Request) Encode() ([]byte, error) {
	return encodeFile("request", requestFile{requestSchema, r.VaultID, r.Key.String(), r.Metadata, r.Name, r.Fingerprint()})
}

// DecodeRequest reads a request's file and checks its form and its fingerprint.
func DecodeRequest(data []byte) (*Request, error) {
	m, err := readFile("request", requestSchema, data, "vault", "key", "metadata", "name", "fingerprint")
	if err != nil {
		return nil, err
	}
	r := new(Request)
	if r.VaultID, err = m.hash("vault"); err != nil {
		return nil, err
	}
	var key, fingerprint string
	for _, f := range []struct {
		name string
		dst  *string
	}{{"key", &key}, {"metadata", &r.Metadata}, {"name", &r.Name}, {"fingerprint", &fingerprint}} {
		if *f.dst, err = m.text(f.name); err != nil {
			return nil, err
		}
	}
	if r.Key, err = sign.ParsePublic(key); err != nil {
		return nil, fmt.Errorf("request: key: %w", err)
	}
	if _, err := seal.Class(r.Metadata); err != nil {
		return nil, fmt.Errorf("request: metadata: %w", err)
	}
	if err := CheckName(r.Name); err != nil {
		return nil, fmt.Errorf("request: name: %w", err)
	}
	if fingerprint != r.Fingerprint() {
		return nil, errors.New("request: the fingerprint is not that of its keys: the file was changed or damaged; make another")
	}
	return r, nil
}

// encodeFile writes a small file of JSON for people to look at.
func encodeFile(kind string, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > MaxDraft {
		return nil, fmt.Errorf("%s: %d bytes are more than the %d that a file may have", kind, b.Len(), MaxDraft)
	}
	return b.Bytes(), nil
}

// fileMembers are the members of a small file of a kind, by name.
type fileMembers struct {
	kind string
	of   map[string]json.RawMessage
}

// readFile takes a small file of JSON apart: one object with the schema and exactly the members named, each once.
func readFile(kind, schema string, data []byte, names ...string) (*fileMembers, error) {
	bad := func(format string, args ...any) (*fileMembers, error) {
		return nil, fmt.Errorf(kind+": "+format, args...)
	}
	if len(data) > MaxDraft {
		return bad("%d bytes are more than the %d that it may have", len(data), MaxDraft)
	}
	if !utf8.Valid(data) {
		return bad("it is not text in UTF-8")
	}
	m := &fileMembers{kind, map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad("it is not an object of JSON: this is no %s", schema)
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return bad("it is not valid JSON")
		}
		if name != "schema" && !slices.Contains(names, name) {
			return bad("it has a member %.40q that does not belong there", name)
		}
		if _, again := m.of[name]; again {
			return bad("it has the member %s twice", name)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return bad("member %s is not valid JSON", name)
		}
		m.of[name] = raw
	}
	if _, err := d.Token(); err != nil {
		return bad("it is not valid JSON: cut short")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bad("something stands behind its end")
	}
	for _, name := range append([]string{"schema"}, names...) {
		if _, ok := m.of[name]; !ok {
			return bad("it has no member %s: this is no %s", name, schema)
		}
	}
	if got, err := m.text("schema"); err != nil || got != schema {
		return bad("its schema is %.60s, not %q: another version of farshore made it, or it is another kind of file", m.of["schema"], schema)
	}
	return m, nil
}

// text returns a member that is a string.
func (m *fileMembers) text(name string) (string, error) {
	var s *string
	if err := json.Unmarshal(m.of[name], &s); err != nil || s == nil {
		return "", fmt.Errorf("%s: %s is not a text", m.kind, name)
	}
	return *s, nil
}

// hash returns a member that is a hash, as text.
func (m *fileMembers) hash(name string) (string, error) {
	s, err := m.text(name)
	if err != nil {
		return "", err
	}
	if _, err := record.ParseHash(s); err != nil {
		return "", fmt.Errorf("%s: %s: %w", m.kind, name, err)
	}
	return s, nil
}

// sameJSON reports whether two texts of JSON mean the same, numbers compared as they are written.
func sameJSON(a, b []byte) bool {
	x, xerr := anyJSON(a)
	y, yerr := anyJSON(b)
	return xerr == nil && yerr == nil && reflect.DeepEqual(x, y)
}

func anyJSON(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
