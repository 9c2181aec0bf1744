package svncmd

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Info is what a server says of a repository.
type Info struct {
	URL      string `xml:"url"`
	Root     string `xml:"repository>root"`
	UUID     string `xml:"repository>uuid"`
	Youngest int64  `xml:"revision,attr"`
}

// ParseInfo reads what "svn info --xml" prints about one URL.
func ParseInfo(data []byte) (Info, error) {
	var doc struct {
		Entries []Info `xml:"entry"`
	}
	if err := xml.Unmarshal(data, &doc); err != nil {
		return Info{}, fmt.Errorf("svn info: %w", err)
	}
	if len(doc.Entries) != 1 || doc.Entries[0].UUID == "" || doc.Entries[0].Youngest < 0 {
		return Info{}, errors.New("svn info says nothing about a repository")
	}
	return doc.Entries[0], nil
}

// Logged are the properties of a revision.
type Logged struct {
	Revision int64
	// Props are by name. Values are bytes.
	Props map[string]string
}

type xmlProperty struct {
	Name     string `xml:"name,attr"`
	Encoding string `xml:"encoding,attr"`
	Value    string `xml:",chardata"`
}

type xmlEntry struct {
	Revision int64         `xml:"revision,attr"`
	Author   *string       `xml:"author"`
	Date     *string       `xml:"date"`
	Message  *string       `xml:"msg"`
	Props    []xmlProperty `xml:"revprops>property"`
}

// ParseLog reads what "svn log --xml --with-all-revprops" prints, and calls each with one revision after the other. It holds one revision at a time.
func ParseLog(r io.Reader, each func(Logged) error) error {
	dec := xml.NewDecoder(r)
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("svn log: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "logentry" {
			continue
		}
		var e xmlEntry
		if err := dec.DecodeElement(&e, &start); err != nil {
			return fmt.Errorf("svn log: %w", err)
		}
		l, err := e.logged()
		if err == nil {
			err = each(l)
		}
		if err != nil {
			return err
		}
	}
}

func (e *xmlEntry) logged() (Logged, error) {
	l := Logged{Revision: e.Revision, Props: map[string]string{}}
	for name, v := range map[string]*string{"svn:author": e.Author, "svn:date": e.Date, "svn:log": e.Message} {
		if v != nil {
			l.Props[name] = *v
		}
	}
	return l, addProps(l.Props, e.Props)
}

func addProps(to map[string]string, props []xmlProperty) error {
	for _, p := range props {
		v := p.Value
		if p.Encoding == "base64" {
			b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
			if err != nil {
				return fmt.Errorf("property %q: %w", p.Name, err)
			}
			v = string(b)
		}
		to[p.Name] = v
	}
	return nil
}

// ParseRevprops reads what "svn proplist --xml -v --revprop" prints about one revision.
func ParseRevprops(data []byte) (map[string]string, error) {
	var doc struct {
		Props []xmlProperty `xml:"revprops>property"`
	}
	if err := xml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("svn proplist: %w", err)
	}
	props := map[string]string{}
	return props, addProps(props, doc.Props)
}

// Lock is a lock on a path of a repository.
type Lock struct {
	Path, Token, Owner, Comment string
	// Created and Expires are as svnadmin prints them; Expires is empty for a lock that does not expire.
	Created, Expires string
}

// ParseLocks reads what "svnadmin lslocks" prints, in the language of the locale that this package sets.
func ParseLocks(data []byte) ([]Lock, error) {
	var all []Lock
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); {
		if lines[i] == "" {
			i++
			continue
		}
		l, n, err := parseLock(lines[i:])
		if err != nil {
			return nil, err
		}
		all = append(all, l)
		i += n
	}
	return all, nil
}

// parseLock reads one lock and says how many lines it has.
func parseLock(lines []string) (Lock, int, error) {
	var l Lock
	fields := []struct {
		name string
		to   *string
	}{{"Path: ", &l.Path}, {"UUID Token: ", &l.Token}, {"Owner: ", &l.Owner}, {"Created: ", &l.Created}, {"Expires: ", &l.Expires}}
	if len(lines) <= len(fields) {
		return l, 0, errors.New("svnadmin lslocks: a lock is cut off")
	}
	for i, f := range fields {
		v, ok := strings.CutPrefix(lines[i], f.name)
		if !ok {
			return l, 0, fmt.Errorf("svnadmin lslocks: %q in place of %q", lines[i], f.name)
		}
		*f.to = v
	}
	count, rest := "", ""
	if c, ok := strings.CutPrefix(lines[len(fields)], "Comment ("); ok {
		count, rest, _ = strings.Cut(c, " ")
	}
	n, err := strconv.Atoi(count)
	from := len(fields) + 1
	if err != nil || !strings.HasPrefix(rest, "line") || n < 0 || n > len(lines)-from {
		return l, 0, fmt.Errorf("svnadmin lslocks: the comment of the lock on %q is cut off", l.Path)
	}
	l.Comment = strings.Join(lines[from:from+n], "\n")
	return l, from + n, nil
}

type jsonLock struct {
	Path      string `json:"path,omitempty"`
	Path64    []byte `json:"path64,omitempty"`
	Token     string `json:"token"`
	Owner     string `json:"owner,omitempty"`
	Owner64   []byte `json:"owner64,omitempty"`
	Comment   string `json:"comment,omitempty"`
	Comment64 []byte `json:"comment64,omitempty"`
	Created   string `json:"created,omitempty"`
	Expires   string `json:"expires,omitempty"`
}

// EncodeLocks writes locks as lines of JSON, in the order given. What is not UTF-8 stands in base64 under a name that ends in 64.
func EncodeLocks(locks []Lock) ([]byte, error) {
	var out []byte
	for _, l := range locks {
		j := jsonLock{Token: l.Token, Created: l.Created, Expires: l.Expires}
		for _, f := range []struct {
			text string
			to   *string
			to64 *[]byte
		}{{l.Path, &j.Path, &j.Path64}, {l.Owner, &j.Owner, &j.Owner64}, {l.Comment, &j.Comment, &j.Comment64}} {
			if utf8.ValidString(f.text) {
				*f.to = f.text
			} else {
				*f.to64 = []byte(f.text)
			}
		}
		b, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		out = append(append(out, b...), '\n')
	}
	return out, nil
}

// DecodeLocks reads what EncodeLocks wrote.
func DecodeLocks(data []byte) ([]Lock, error) {
	var all []Lock
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var j jsonLock
		err := dec.Decode(&j)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("locks: %w", err)
		}
		all = append(all, Lock{
			Path: j.Path + string(j.Path64), Token: j.Token, Owner: j.Owner + string(j.Owner64), Comment: j.Comment + string(j.Comment64),
			Created: j.Created, Expires: j.Expires,
		})
	}
}
