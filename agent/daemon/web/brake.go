package web

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of wrong tokens: so many in a row from one address, then one in each interval. While an address has none left its tokens are not looked at.
const (
	brakeSlots = 4096
	brakeBurst = 10
	brakeEach  = 5 * time.Second
)

// brake counts wrong tokens by the address that they came from, in a table of a fixed size: addresses that meet in a slot, which nobody can choose, share it. It may be used concurrently.
type brake struct {
	seed maphash.Seed
	now  func() time.Time
	mu   sync.Mutex
	// until is, for each slot, when all of its wrong tokens will be forgotten.
	until [brakeSlots]time.Time
}

func newBrake(now func() time.Time) *brake { return &brake{seed: maphash.MakeSeed(), now: now} }

// slot is that of the address of a request: an IPv4 address, or the 64 bits that one household of IPv6 has.
func (b *brake) slot(r *http.Request) int {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.WithZone("").Unmap()
		if bits := 64; a.Is6() {
			if p, err := a.Prefix(bits); err == nil {
				a = p.Addr()
			}
		}
		host = a.String()
	}
	return int(maphash.String(b.seed, host) % brakeSlots)
}

// wait is how long the address of a request must wait before a token of its is looked at; 0: not at all.
func (b *brake) wait(r *http.Request) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := max(0, b.until[b.slot(r)].Sub(b.now()))
	if left > brakeBurst*brakeEach {
		return 0 // the clock was set back: what was noted counts no more
	}
	return max(0, left-(brakeBurst-1)*brakeEach)
}

// wrong notes a wrong token.
func (b *brake) wrong(r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slot, now := b.slot(r), b.now()
	until := b.until[slot]
	if until.Before(now) || until.Sub(now) > brakeBurst*brakeEach {
		until = now
	}
	b.until[slot] = until.Add(brakeEach)
}
