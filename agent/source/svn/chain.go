package svn

import (
	"strconv"

	"farshore/agent/record"
)

// link is one dump of a chain with its digests.
type link struct {
	from, to      int64
	dump, digests record.Part
}

// digest is the one of the link's last revision.
func (l *link) digest() string { return l.dump.Attrs[attrDigest] }

// maxChain is how many dumps a chain has at most: a restore opens each of them.
const maxChain = 48

// chainOf returns the chain that a record has. One that does not go from revision 0 on without a gap is none.
func chainOf(last *record.Record) []link {
	if last == nil {
		return nil
	}
	var chain []link
	next := int64(0)
	for i := 0; i+1 < len(last.Parts); i++ {
		dump, digests := last.Parts[i], last.Parts[i+1]
		if dump.Kind != record.PartDump {
			continue
		}
		from, to, ok := rangeOf(&dump)
		if !ok || from != next || digests.Kind != record.PartDigests || dump.Attrs[attrDigest] == "" {
			return nil
		}
		chain = append(chain, link{from, to, dump, digests})
		next = to + 1
	}
	return chain
}

// rangeOf reads the revisions that a part says it has.
func rangeOf(p *record.Part) (from, to int64, ok bool) {
	from, err := strconv.ParseInt(p.Attrs[attrFrom], 10, 64)
	if err != nil || from < 0 {
		return 0, 0, false
	}
	to, err = strconv.ParseInt(p.Attrs[attrTo], 10, 64)
	return from, to, err == nil && to >= from
}

func rangeAttrs(from, to int64) record.Attrs {
	return record.Attrs{attrFrom: strconv.FormatInt(from, 10), attrTo: strconv.FormatInt(to, 10)}
}

// keep says how many links of a chain stay when another dump is to follow and there may be most of them: all while there is room, else as many as leave out the newest
// ones of about the same size, whose revisions are dumped again together with the new ones. A link is passed over until what follows it has half of its size, so
// that each revision is dumped again only as often as the chain's size doubles.
func keep(chain []link, most int) int {
	n := len(chain)
	if n < most {
		return n
	}
	n--
	run := chain[n].dump.Size
	for n > 0 && chain[n-1].dump.Size <= 2*run {
		n--
		run += chain[n].dump.Size
	}
	return n
}

// end is the last revision of a chain, -1 of none.
func end(chain []link) int64 {
	if len(chain) == 0 {
		return -1
	}
	return chain[len(chain)-1].to
}
