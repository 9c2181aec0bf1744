package web_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"farshore/agent/daemon/web"
)

// TestBrake shows wrong tokens: after ten of one address none of its is looked at, the right one neither, until time has passed; other addresses don't notice, and what shows none is not counted.
func TestBrake(t *testing.T) {
	now := noon
	o := wellSample().options()
	o.Token, o.Now = token, func() time.Time { return now }
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	from := func(addr, shown string) (int, string) {
		w := get(h, "/heads.txt", func(r *http.Request) {
			r.RemoteAddr = addr
			if shown != "" {
				r.Header.Set("Authorization", "Bearer "+shown)
			}
		})
		return w.Code, w.Header().Get("Retry-After")
	}
	want := func(addr, shown string, code int) {
		t.Helper()
		if got, _ := from(addr, shown); got != code {
			t.Errorf("%s with %q: %d, want %d", addr, shown, got, code)
		}
	}
	for range 100 {
		want("192.0.2.1:5", "", 401)
	}
	for i := range 10 {
		want(fmt.Sprintf("192.0.2.1:%d", i), "wrong token number "+strconv.Itoa(i), 401)
	}
	want("192.0.2.1:77", "wrong again", 429)
	want("192.0.2.1:78", token, 429)
	want("[::ffff:192.0.2.1]:78", token, 429)
	if _, after := from("192.0.2.1:79", token); after != "5" {
		t.Errorf("Retry-After is %q", after)
	}
	want("192.0.2.1:80", "", 401)
	want("192.0.2.2:80", token, 200)
	now = now.Add(5 * time.Second)
	want("192.0.2.1:81", token, 200)
	want("192.0.2.1:81", "wrong", 401)
	want("192.0.2.1:81", token, 429)
	now = now.Add(time.Minute)
	for range 10 {
		want("[2001:db8:1:2:aaaa::1]:9", "wrong", 401)
	}
	want("[2001:db8:1:2:bbbb::7]:9", token, 429) // of the same household
	want("[2001:db8:1:3::1]:9", token, 200)
	now = now.AddDate(-1, 0, 0) // a clock that was set back shuts nobody out for a year
	want("[2001:db8:1:2::1]:9", token, 200)
}
