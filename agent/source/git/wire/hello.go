package wire

import (
	"bytes"
	"fmt"
	"strings"

	"farshore/agent/repo/refs"
)

// hello is what an upload-pack says first: which version of the protocol it speaks, what it can do and, before version 2, its refs.
type hello struct {
	version int    // 0, 1 or 2
	format  string // of its objects: sha1 or sha256
	// can holds what it advertised, by name; in version 2 also "fetch=" and "ls-refs=" with each feature of these commands.
	can     map[string]bool
	symrefs map[string]string // versions 0 and 1: targets of symbolic refs
	refs    []advertised      // versions 0 and 1
	shallow bool              // versions 0 and 1: the repository's history is cut off
}

// advertised is one ref as a server lists it.
type advertised struct{ name, oid, symref string }

// Bounds of what a server may make us hold.
const (
	maxCapabilities    = 4096
	maxCapabilityBytes = 1 << 20
)

const serviceLine = "# service=git-upload-pack"

// readHello decodes the advertisement (gitprotocol-pack, gitprotocol-v2, gitprotocol-http) up to and with its last flush packet.
func readHello(p *packets) (*hello, error) {
	kind, line, err := p.line()
	if err == nil && kind == data && string(line) == serviceLine {
		if kind, _, err = p.line(); err == nil && kind != flush {
			return nil, fmt.Errorf("%w: no flush packet after the service's name", errPacket)
		}
		kind, line, err = p.line()
	}
	if err != nil {
		return nil, cutOff(err)
	}
	h := &hello{format: "sha1", can: map[string]bool{}, symrefs: map[string]string{}}
	switch {
	case kind == data && string(line) == "version 2":
		h.version = 2
		return h, h.capabilities(p)
	case kind == data && string(line) == "version 1":
		h.version = 1
		if kind, line, err = p.line(); err != nil {
			return nil, cutOff(err)
		}
	}
	return h, h.advertisement(p, kind, line)
}

// capabilities reads those of version 2, a line each.
func (h *hello) capabilities(p *packets) error {
	size := 0
	for range maxCapabilities {
		kind, line, err := p.line()
		if size += len(line); size > maxCapabilityBytes {
			return tooMany()
		}
		switch {
		case err != nil:
			return cutOff(err)
		case kind == flush:
			return h.checkFormat()
		case kind != data:
			return fmt.Errorf("%w: a separator among the capabilities", errPacket)
		}
		name, value, _ := strings.Cut(string(line), "=")
		h.can[name] = true
		switch name {
		case "object-format":
			h.format = value
		case "fetch", "ls-refs":
			for feature := range strings.FieldsSeq(value) {
				h.can[name+"="+feature] = true
			}
		}
	}
	return tooMany()
}

// advertisement reads the refs of versions 0 and 1; the first line was read already.
func (h *hello) advertisement(p *packets, kind packetKind, line []byte) error {
	var total bound
	for first := true; ; first = false {
		switch kind {
		case flush:
			return h.resolve()
		case data:
		default:
			return fmt.Errorf("%w: a separator among the refs", errPacket)
		}
		if first {
			name, list, _ := bytes.Cut(line, []byte{0})
			line = name
			if err := h.oldCapabilities(string(list)); err != nil {
				return err
			}
		}
		if err := h.oldRef(string(line), &total); err != nil {
			return err
		}
		var err error
		if kind, line, err = p.line(); err != nil {
			return cutOff(err)
		}
	}
}

func (h *hello) oldCapabilities(list string) error {
	n := 0
	for c := range strings.FieldsSeq(list) {
		if n++; n > maxCapabilities {
			return tooMany()
		}
		name, value, _ := strings.Cut(c, "=")
		h.can[name] = true
		switch name {
		case "object-format":
			h.format = value
		case "symref":
			if from, to, ok := strings.Cut(value, ":"); ok {
				h.symrefs[from] = to
			}
		}
	}
	return h.checkFormat()
}

// oldRef takes "<id> <name>", "<id> <tag>^{}", "shallow <id>" and, where there is no ref at all, "<zeros> capabilities^{}".
func (h *hello) oldRef(line string, total *bound) error {
	id, name, ok := strings.Cut(line, " ")
	switch {
	case ok && id == "shallow":
		h.shallow = true
		return nil
	case ok && name == "capabilities^{}" && strings.Trim(id, "0") == "":
		return nil
	case !ok || !validID(id, h.format) || !validName(name):
		return badRef(line)
	case strings.HasSuffix(name, "^{}"):
		return nil // what a tag points to: git forbids such names
	}
	if err := total.add(len(name)); err != nil {
		return err
	}
	h.refs = append(h.refs, advertised{name: name, oid: id})
	return nil
}

// resolve says of each ref that was listed whether it is symbolic.
func (h *hello) resolve() error {
	for i := range h.refs {
		h.refs[i].symref = h.symrefs[h.refs[i].name]
	}
	for name, target := range h.symrefs {
		if !validName(name) || !validName(target) {
			return badRef("symref=" + name + ":" + target)
		}
	}
	return nil
}

func (h *hello) checkFormat() error {
	if h.format != "sha1" && h.format != "sha256" {
		return unsupported("its object format is " + clean(h.format) + " (sha1 and sha256 are supported)")
	}
	return nil
}

// readLsRefs decodes the answer to ls-refs up to its flush packet (gitprotocol-v2, ls-refs).
func readLsRefs(p *packets, format string) ([]advertised, error) {
	var list []advertised
	var total bound
	for {
		kind, line, err := p.line()
		switch {
		case err != nil:
			return nil, cutOff(err)
		case kind == flush:
			return list, nil
		case kind != data:
			return nil, fmt.Errorf("%w: a separator among the refs", errPacket)
		}
		ref, err := lsRef(string(line), format)
		if err == nil {
			err = total.add(len(ref.name) + len(ref.symref))
		}
		if err != nil {
			return nil, err
		}
		list = append(list, ref)
	}
}

// lsRef decodes "<id> <name>[ symref-target:<name>][ peeled:<id>]", with "unborn" for the id of a symbolic ref whose target is not there.
func lsRef(line, format string) (advertised, error) {
	id, rest, ok := strings.Cut(line, " ")
	name, attributes, _ := strings.Cut(rest, " ")
	ref := advertised{name: name, oid: id}
	for a := range strings.SplitSeq(attributes, " ") {
		if target, is := strings.CutPrefix(a, "symref-target:"); is {
			ref.symref = target
			ok = ok && validName(target)
		}
	}
	if id == "unborn" && ref.symref != "" {
		ref.oid = ""
	} else {
		ok = ok && validID(id, format)
	}
	if !ok || !validName(name) {
		return advertised{}, badRef(line)
	}
	return ref, nil
}

// bound counts what a listing makes us hold.
type bound struct{ refs, size int }

func (b *bound) add(size int) error {
	b.refs++
	b.size += size
	if b.refs > refs.MaxRefs || b.size > refs.MaxNames {
		return tooLarge(fmt.Sprintf("it lists more than %d refs, or more than %d MiB of names: delete refs that nobody needs", refs.MaxRefs, refs.MaxNames>>20))
	}
	return nil
}

func tooMany() error {
	return fmt.Errorf("%w: more than %d capabilities, or %d bytes of them", errPacket, maxCapabilities, maxCapabilityBytes)
}

func badRef(line string) error {
	return fmt.Errorf("%w: %q is no ref", errPacket, clean(line))
}

// validName refuses what no ref can be called (git-check-ref-format) and what would not survive in a line. The bytes need not be UTF-8.
func validName(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == 0x7f {
			return false
		}
	}
	return name != ""
}

// validID reports whether id is an object id of that format, in lower case.
func validID(id, format string) bool {
	if len(id) != idLength(format) {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// idLength is the number of hexadecimal digits in an object id.
func idLength(format string) int {
	if format == "sha256" {
		return 64
	}
	return 40
}
