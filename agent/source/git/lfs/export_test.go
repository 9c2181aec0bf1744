package lfs

import "time"

// SetTimes shortens the client's waits.
func (c *Client) SetTimes(first, idle time.Duration) { c.times = times{first: first, idle: idle} }

// Answers sorts out the answer to a batch.
func (c *Client) Answers(list []Pointer, data []byte, at time.Time) (links map[string]string, errs map[string]error, err error) {
	m, err := c.answers(list, data, at)
	links, errs = map[string]string{}, map[string]error{}
	for oid, a := range m {
		if a.link != nil {
			links[oid] = a.link.url.String()
		} else {
			errs[oid] = a.err
		}
	}
	return links, errs, err
}
