package config

import (
	"math"
	"strings"
	"testing"

	"farshore/agent/tripwire"
)

// TestTripwireOf layers a source's thresholds over those of all and those over the defaults.
func TestTripwireOf(t *testing.T) {
	const head = "vault: gs://example/vault\nowner: ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik\nrecipients: [age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25]\n"
	change := func(f func(*tripwire.Thresholds)) tripwire.Thresholds {
		d := tripwire.Default()
		f(&d)
		return d
	}
	for _, x := range []struct {
		all, own string
		want     tripwire.Thresholds
	}{
		{"", "", tripwire.Default()},
		{"tripwire: {}", "", tripwire.Default()},
		{"tripwire: off", "", tripwire.Thresholds{}},
		{"tripwire: 'off'", "", tripwire.Thresholds{}},
		{"tripwire: {deleted: 12.5%, policy: off}", "", change(func(d *tripwire.Thresholds) { d.Deleted, d.Policy = 0.125, false })},
		{"tripwire: {deleted: 10%, size: off}", "tripwire: {deleted: off}", change(func(d *tripwire.Thresholds) { d.Deleted, d.Size = 0, 0 })},
		{"tripwire: off", "tripwire: {deleted: 0.2}", tripwire.Thresholds{Deleted: 0.2}},
		{"tripwire: off", "tripwire: {policy: on}", tripwire.Thresholds{Policy: true}},
		{"tripwire: {deleted: 10%}", "tripwire: off", tripwire.Thresholds{}},
		{"tripwire: {deleted: 100%}", "", change(func(d *tripwire.Thresholds) { d.Deleted = 1 })},
	} {
		text := head + x.all + "\nsources:\n  - name: a\n    url: s3://a\n"
		if x.own != "" {
			text += "    " + x.own + "\n"
		}
		c, err := Parse("farshore.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s, %s: %v", x.all, x.own, err)
			continue
		}
		got := c.TripwireOf(&c.Sources[0])
		if math.Abs(got.Deleted-x.want.Deleted) < 1e-9 {
			got.Deleted = x.want.Deleted
		}
		if got != x.want {
			t.Errorf("%s, %s: got %+v, want %+v", x.all, x.own, got, x.want)
		}
		back := string(render(c))
		again, err := Parse("farshore.yaml", []byte(back))
		if err != nil || again.TripwireOf(&again.Sources[0]) != c.TripwireOf(&c.Sources[0]) {
			t.Errorf("%s, %s: written and read again: %v\n%s", x.all, x.own, err, back)
		}
	}
}

// TestTripwireOfNothing holds a source that was not read from a file to the defaults.
func TestTripwireOfNothing(t *testing.T) {
	if got := new(Config).TripwireOf(&Source{}); got != tripwire.Default() {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(newTemplate, "deleted: 30%") {
		t.Error("the new file does not show the thresholds")
	}
}
