package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestSuspicious empties a bucket: the pass raises an alarm, what is restored is what was there before, and a person can say that the change is meant.
func TestSuspicious(t *testing.T) {
	r := newShop(t)
	more := map[string]string{}
	for i := range 20 {
		more[fmt.Sprintf("more/%02d", i)] = fmt.Sprint("content ", i)
	}
	r.put(more)
	r.ok("replicate").says("there was no complete snapshot to compare it with")
	for key := range more {
		r.remove(key)
	}
	r.run("replicate").ends(exitIncomplete).says("SUSPICIOUS: deleted-share: 20 of the").
		warns("ALARM: snapshot 3 looks like an attack", "Everything up to snapshot 2 is untouched", "farshore replicate shop --accept-change 3", "`tripwire:` in the configuration")
	got := r.run("replicate", "--json").ends(exitIncomplete)
	for _, want := range []string{`"code":"suspicious"`, `"suspicious":["deleted-share: `, `"since-3: `, `"compared_with":2`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %s in %s", want, got.stdout)
		}
	}
	r.ok("snapshots").says("SUSPICIOUS: deleted-share", "SUSPICIOUS: deleted-share, since-3")
	r.ok(r.bare("ls", "shop")...).says("more/00", "in snapshot 2").warns("snapshot 4 of", "is newer than 2 and SUSPICIOUS, so that it was passed over: deleted-share")
	r.ok(r.bare("ls", "shop@4")...).lacks("more/00").warns("snapshot 4 of shop is SUSPICIOUS", "the newest complete one that is not is 2 of")
	r.ok(r.bare("cat", "shop", "more/07")...).says("content 7").warns("is newer than 2 and SUSPICIOUS")
	r.ok(r.bare("restore", "--source", "shop", "--to", "out")...).says("restored snapshot 2", "note: snapshot 4 of").warns("passed over")
	r.run("replicate", "--accept-change", "3").ends(exitUsage).warns("of one SOURCE")
	r.run("replicate", "shop", "--accept-change", "2").ends(exitUsage).warns("there is nothing to accept", "hint: ")
	r.run("replicate", "shop", "--accept-change", "0").ends(exitUsage)
	r.ok("replicate", "shop", "--accept-change", "4").says("accepted: deleted-share: 20 of the")
	r.ok(r.bare("ls", "shop")...).lacks("more/00").says("in snapshot 5")
	r.ok("replicate")
}
