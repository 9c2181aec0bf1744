package daemon

import "time"

const (
	// measuring is what goroutines that measure are called.
	measuring = "the measure of progress"
	// maxSamples are kept of a run, no two of which are nearer than sampleGap, and none older than sampleAge when a new one comes.
	maxSamples = 60
	sampleGap  = 900 * time.Millisecond
	sampleAge  = 75 * time.Second
	// leftAfter is how long a run is measured before it is said how long it takes.
	leftAfter = 10 * time.Second
	// measureWait is how long Status waits for measures.
	measureWait = 100 * time.Millisecond
)

// progress is how far a run is. Its times have monotonic readings: a clock that is set does not change a rate.
type progress struct {
	measured Measured
	moved    time.Time
	samples  []sample
	// asking says that a measure was called and did not return yet: no other is called.
	asking bool
}

type sample struct {
	at time.Time
	Measured
}

// add takes note of a measurement.
func (p *progress) add(m Measured, at time.Time) {
	if m != p.measured {
		p.measured, p.moved = m, at
	}
	if n := len(p.samples); n > 0 && at.Sub(p.samples[n-1].at) < sampleGap {
		return
	}
	old := 0
	for old < len(p.samples) && (at.Sub(p.samples[old].at) > sampleAge || len(p.samples)-old >= maxSamples) {
		old++
	}
	p.samples = append(p.samples[old:], sample{at, m})
}

// rates are what was done a second, over what was measured of late; span is over how long.
func (p *progress) rates() (items, bytes float64, span time.Duration) {
	if len(p.samples) < 2 {
		return 0, 0, 0
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	span = last.at.Sub(first.at)
	return max(0, float64(last.Items-first.Items)/span.Seconds()), max(0, float64(last.Bytes-first.Bytes)/span.Seconds()), span
}

// secondsLeft reckons how long the rest takes at such rates; nil where it can't be known.
func (p *progress) secondsLeft(items, bytes float64, span time.Duration) *float64 {
	m := p.measured
	if span < leftAfter || m.TotalItems <= 0 && m.TotalBytes <= 0 {
		return nil
	}
	var left float64
	for _, of := range []struct {
		rest, total int64
		rate        float64
	}{{m.TotalItems - m.Items, m.TotalItems, items}, {m.TotalBytes - m.Bytes, m.TotalBytes, bytes}} {
		if of.total <= 0 || of.rest <= 0 {
			continue
		}
		if of.rate <= 0 {
			return nil
		}
		left = max(left, float64(of.rest)/of.rate)
	}
	if left == 0 {
		return nil // all that is counted is done, and what it still does is not known
	}
	return &left
}

// measure has the runs under way measured, each by one goroutine at most, and waits for that no longer than it is told to.
func (d *Daemon) measure(within time.Duration) {
	asked := d.ask()
	if within == 0 || len(asked) == 0 {
		return
	}
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for _, done := range asked {
		select {
		case <-done:
		case <-deadline.C:
			return
		}
	}
}

// ask begins measures of the runs that have none under way. What it returns is closed when they are over.
func (d *Daemon) ask() []<-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	var asked []<-chan struct{}
	for _, r := range d.running {
		f := r.follow.measure.Load()
		if f == nil || r.asking || d.state == stopped {
			continue
		}
		done := make(chan struct{})
		r.asking = true
		d.beside(measuring, func() {
			defer close(done)
			d.note(r, f)
		})
		asked = append(asked, done)
	}
	return asked
}

// note calls a measure. One that panics is not called again.
func (d *Daemon) note(r *run, measure *func() Measured) {
	var m Measured
	well := false
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		r.asking = false
		if well {
			r.add(m, time.Now())
		} else {
			r.follow.measure.CompareAndSwap(measure, nil)
		}
	}()
	m = (*measure)()
	well = true
}

// measures names the measures under way.
func (d *Daemon) measures() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aside[measuring] > 0 {
		return []string{measuring}
	}
	return nil
}
