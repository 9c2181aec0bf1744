package mem_test

import (
	"bytes"
	"context"
	"testing"

	"farshore/providers"
	"farshore/providers/mem"
	"farshore/providers/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(*testing.T) providers.Driver { return mem.New() })
}

// TestTampering holds that what tests do behind the driver's back shows, and shares no memory with them.
func TestTampering(t *testing.T) {
	ctx, d := context.Background(), mem.New()
	mine := []byte("first")
	d.Set("b", mine)
	d.Set("a", []byte("x"))
	mine[0] = 'F'
	got := d.Objects()
	if !bytes.Equal(got["b"], []byte("first")) || len(got) != 2 {
		t.Fatalf("Objects: %q", got)
	}
	got["b"][0] = 'F'
	if again := d.Objects(); string(again["b"]) != "first" {
		t.Errorf("a change of the copy shows in the store: %q", again["b"])
	}
	d.Remove("a")
	page, more, err := d.List(ctx, "", "", 10)
	if err != nil || more || len(page) != 1 || page[0].Name != "b" {
		t.Errorf("List after Remove: %v, %v, %v", page, more, err)
	}
}

func TestVersionedConformance(t *testing.T) {
	providertest.Run(t, func(*testing.T) providers.Driver { return mem.NewVersioned() })
	var d *mem.Versioned
	open := func(*testing.T) providers.Driver { d = mem.NewVersioned(); return d }
	providertest.RunHistory(t, open, providertest.Tamper{
		Overwrite: func(_ *testing.T, name string, body []byte) { d.Set(name, body) },
		Hide:      func(_ *testing.T, name string) { d.Hide(name) },
		Markers:   true,
	})
}
