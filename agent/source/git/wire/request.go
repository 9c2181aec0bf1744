package wire

import (
	"fmt"
	"slices"
	"strings"
)

// maxHaves is how many ids of what is here already are told: some 1 MB of request. Callers put those first that matter most.
const maxHaves = 20000

// smallFilter leaves out blobs of that many bytes and more.
const smallFilter = "blob:limit=1025"

// fetchRequest says what to ask for.
type fetchRequest struct {
	wants, haves []string
	thin         bool
	filter       string // "": all
}

// check refuses what is no object id, before it becomes a line of a request, and drops haves beyond the limit.
func (f *fetchRequest) check(format string) error {
	for _, id := range f.wants {
		if !validID(id, format) {
			return fmt.Errorf("%q is no object id of a %s repository", clean(id), format)
		}
	}
	good := make([]string, 0, min(len(f.haves), maxHaves))
	for _, id := range f.haves {
		if len(good) == maxHaves {
			break
		}
		if validID(id, format) { // an id of another format can't be there
			good = append(good, id)
		}
	}
	f.haves = good
	return nil
}

// commandV2 begins a request of version 2 (gitprotocol-v2): the command with its capabilities.
func commandV2(h *hello, command, agent string) *message {
	m := &message{}
	m.line("command=%s", command)
	if h.can["agent"] {
		m.line("agent=%s", agent)
	}
	if h.can["object-format"] {
		m.line("object-format=%s", h.format)
	}
	m.delimiter()
	return m
}

// lsRefsV2 asks for all refs.
func lsRefsV2(h *hello, agent string) []byte {
	m := commandV2(h, "ls-refs", agent)
	m.line("symrefs")
	if h.can["ls-refs=unborn"] {
		m.line("unborn")
	}
	m.flush()
	return m.Bytes()
}

// fetchV2 asks for a pack, without negotiation: "done" comes with the first request.
func fetchV2(h *hello, agent string, f *fetchRequest) []byte {
	m := commandV2(h, "fetch", agent)
	if f.thin {
		m.line("thin-pack")
	}
	m.line("no-progress")
	m.line("ofs-delta")
	if f.filter != "" && h.can["fetch=filter"] {
		m.line("filter %s", f.filter)
	}
	m.ids("want", f.wants)
	m.ids("have", f.haves)
	m.line("done")
	m.flush()
	return m.Bytes()
}

// fetchV0 asks for a pack in the way of versions 0 and 1 (gitprotocol-pack): wants, a flush packet, haves, done. Without multi_ack the server answers all of it
// with one line.
func fetchV0(h *hello, agent string, f *fetchRequest) []byte {
	capabilities := []string{"side-band-64k", "ofs-delta", "no-progress"}
	if f.thin {
		capabilities = append(capabilities, "thin-pack")
	}
	if f.filter != "" {
		capabilities = append(capabilities, "filter")
	}
	capabilities = slices.DeleteFunc(capabilities, func(c string) bool { return !h.can[c] })
	if h.can["object-format"] {
		capabilities = append(capabilities, "object-format="+h.format)
	}
	if h.can["agent"] {
		capabilities = append(capabilities, "agent="+agent)
	}
	m := &message{}
	m.line("want %s %s", f.wants[0], strings.Join(capabilities, " "))
	m.ids("want", f.wants[1:])
	if f.filter != "" && h.can["filter"] {
		m.line("filter %s", f.filter)
	}
	m.flush()
	m.ids("have", f.haves)
	m.line("done")
	return m.Bytes()
}

func (m *message) ids(word string, ids []string) {
	for _, id := range ids {
		m.line("%s %s", word, id)
	}
}
