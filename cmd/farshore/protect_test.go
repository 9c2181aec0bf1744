package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/probe"
	"farshore/agent/probe/fileprobe"
	"farshore/providers"
	"farshore/providers/file"
)

// TestCustodyInTheCourseOfARun asks anew in a run that is longer than a proof counts: a credential that may destroy by then ends it, however often it is asked.
func TestCustodyInTheCourseOfARun(t *testing.T) {
	place := "file://" + t.TempDir()
	d, err := file.Open(place)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a, err := fileprobe.New(place)
	if err != nil {
		t.Fatal(err)
	}
	who, err := a.Principal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	e := &env{stderr: &said, getenv: func(string) string { return "" }, now: time.Now}
	c := &config.Config{Vault: place, State: t.TempDir(), Require: config.RequireAppendOnly}
	proven := func(age time.Duration) *custody {
		g := &custody{e: e, c: c, guard: &probe.Guard{Dir: c.State, Store: providers.New(d, providers.Options{}), Attacker: a, Options: e.probeOptions(probe.Writer)}}
		g.last = &probe.Report{Verdict: probe.Protected, Place: d.Traits().Place, Principal: who, Time: time.Now().Add(-age)}
		g.protection = protectionOf(c, g.last)
		return g
	}
	fresh := proven(time.Hour)
	if err := fresh.check(t.Context()); err != nil || fresh.protection.Verdict != probe.Protected {
		t.Errorf("%v, %+v", err, fresh.protection)
	}
	old := proven(25 * time.Hour)
	defer old.close()
	for range 2 {
		err := old.check(t.Context())
		if err == nil || classify(t.Context(), err).exit != exitDamage || !strings.Contains(err.Error(), "UNPROTECTED") || old.protection.Verdict != probe.Unprotected {
			t.Errorf("%v, %+v", err, old.protection)
		}
	}
}
