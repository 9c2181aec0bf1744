package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/tripwire"
)

// fill puts the first objects into the bucket, and makes the repositories.
func (d *demo) fill(ctx context.Context) error {
	begin := time.Now()
	d.now = demoBegin()
	if err := d.cloud.put(ctx, d.now); err != nil {
		return err
	}
	d.e.say("   at %s, with %s, %s: tiny, text,", d.cloud.endpoint, plural(int64(len(d.now)), "object"), formatBytes(d.now.bytes()))
	d.e.say("   random, one of %s, and keys that no file can be called (%s)", formatBytes(demoLarge), since(begin))
	if err := d.makeRepositories(ctx); err != nil {
		return err
	}
	d.sayRepositories()
	return nil
}

// begin makes the vault and names its sources: the bucket, and the directories of repositories.
func (d *demo) begin(ctx context.Context) error {
	var made initResult
	if _, err := d.farshore(ctx, "agent", &made, "init", "--vault", d.vaultURL(), "--config", "farshore.yaml", "--kit", "../kit"); err != nil {
		return err
	}
	d.e.say("   vault %.16s…, sealed to the key that is in the kit", made.VaultID)
	var source sourceResult
	if _, err := d.farshore(ctx, "agent", &source, "source", "add", demoBucket, d.cloud.url(demoAgent)); err != nil {
		return err
	}
	d.e.say("   the profile %q may only read the bucket", demoAgent)
	return d.addRepositories(ctx)
}

// replicate makes a pass over all sources.
func (d *demo) replicate(ctx context.Context) error {
	var got replicateResult
	seconds, err := d.farshore(ctx, "agent", &got, "replicate")
	var alarm *failure
	if err != nil && !(errors.As(err, &alarm) && alarm.code == codeSuspicious) {
		return err
	}
	if want := 1 + d.repositories.count(); int64(len(got.Sources)) != want {
		return fmt.Errorf("the pass was over %s, not %s", plural(int64(len(got.Sources)), "source"), formatCount(want))
	}
	pass := demoSnapshot{map[string]int64{}, d.now, d.nowRepositories}
	var packs, vanished int64
	d.e.say("   source    new  changed  deleted  vanished  captured  new to the vault")
	for _, s := range got.Sources {
		if !s.Complete {
			return fmt.Errorf("the pass over %s is not complete: %+v", s.Source, s)
		}
		pass.numbers[s.Source] = s.Seq
		packs += s.StoredPacks
		made, changed, unreadable := s.New, s.Changed, s.Unreadable
		if r := s.Repositories; r != nil {
			made, changed, unreadable = r.New, r.Changed, r.Unreadable
		}
		vanished += unreadable[record.ReasonVanished]
		d.sum.ReadBytes += s.ReadBytes
		d.sum.UniqueBytes += s.StoredBytes
		d.e.say("   %-6s  %5s  %7s  %7s  %8s  %8s  %16s", s.Source, formatCount(made), formatCount(changed), formatCount(s.Deleted),
			formatCount(unreadable[record.ReasonVanished]), formatBytes(s.ReadBytes), formatBytes(s.StoredBytes))
	}
	d.snapshots = append(d.snapshots, pass)
	d.e.say("   %s stored, in %s", plural(packs, "pack"), demoSeconds(seconds))
	if err := d.sayAlarms(got.Sources); err != nil {
		return err
	}
	if vanished > 0 {
		d.e.say("   what vanished is kept in the vault as it last was")
	}
	return nil
}

// sayAlarms says which snapshots are marked as suspicious, and why. That of an emptied bucket must be, and no first one may be.
func (d *demo) sayAlarms(sources []passResult) error {
	for _, s := range sources {
		var codes []string
		for _, reason := range s.Suspicious {
			codes = append(codes, tripwire.CodeOf(reason))
		}
		switch {
		case len(codes) == 0 && s.Source == demoBucket && len(d.now) == 0:
			return fmt.Errorf("the bucket is empty, and the pass over it raised no alarm: %+v", s)
		case len(codes) > 0 && len(d.snapshots) == 1:
			return fmt.Errorf("the first pass raised an alarm: %+v", s)
		case len(codes) > 0:
			d.e.say("   ALARM, %s@%d: %s", s.Source, s.Seq, strings.Join(codes, ", "))
		}
	}
	return nil
}

// change does what a day's work does to a bucket and to repositories.
func (d *demo) change(ctx context.Context) error {
	next, changed, removed := demoChange(d.now)
	if err := d.cloud.put(ctx, changed); err != nil {
		return err
	}
	if err := d.cloud.remove(ctx, removed); err != nil {
		return err
	}
	d.now = next
	d.sum.Objects, d.sum.Bytes = int64(len(next)), next.bytes()
	d.e.say("   %s written, %s deleted; in the large one a few bytes inserted", plural(int64(len(changed)), "object"), formatCount(int64(len(removed))))
	return d.changeRepositories(ctx)
}

// attack deletes everything that the primary has, as one who has the owner's credentials can.
func (d *demo) attack(ctx context.Context) error {
	keys, err := d.cloud.keys(ctx)
	if err != nil {
		return err
	}
	if err := d.cloud.remove(ctx, keys); err != nil {
		return err
	}
	left, err := d.cloud.keys(ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the intruder left %s", plural(int64(len(left)), "object"))
	}
	d.now = demoObjects{}
	if err != nil {
		return err
	}
	d.e.say("   %s deleted; the bucket is empty", plural(int64(len(keys)), "object"))
	return d.attackRepositories()
}

// look lists the snapshots with nothing but the vault's address and the recovery key.
func (d *demo) look(ctx context.Context) error {
	key, err := os.ReadFile(d.path("kit", "recovery.key"))
	if err != nil {
		return err
	}
	if err := createFile(d.path("bare", "recovery.key"), string(key)); err != nil {
		return err
	}
	var got snapshotsResult
	if _, err := d.farshore(ctx, "bare", &got, "snapshots", "--vault", d.vaultURL(), "--identity", "recovery.key"); err != nil {
		return err
	}
	if want := 1 + d.repositories.count(); int64(len(got.Chains)) != want {
		return damagef("there should be %s: %+v", plural(want, "chain"), got)
	}
	d.sum.Snapshots = len(d.snapshots)
	d.e.say("   snapshot  time                  items      size  state")
	for _, c := range got.Chains {
		if len(c.Snapshots) != len(d.snapshots) {
			return damagef("there should be %s of %s: %+v", plural(int64(len(d.snapshots)), "snapshot"), c.Source, got)
		}
		for i, s := range c.Snapshots {
			d.e.say("   %-8s  %.19sZ  %5s  %8s  %s", fmt.Sprintf("%s@%d", c.Source, s.Seq), s.Time, formatCount(s.Items), formatBytes(s.Bytes), s.brief())
			if !d.snapshots[i].is(c.Source, s) {
				return damagef("snapshot %d of %s is not what the pass found", s.Seq, c.Source)
			}
			if c.Source == demoBucket {
				d.sum.HistoryItems += s.Items
				d.sum.HistoryBytes += s.Bytes
			}
		}
	}
	return nil
}

// is reports whether a snapshot in the vault is that of the pass. Of repositories that are gone it has what they were last.
func (p *demoSnapshot) is(source string, s snapshotResult) bool {
	if s.Seq != p.numbers[source] || !s.Complete {
		return false
	}
	switch source {
	case demoBucket:
		return s.Items == int64(len(p.objects)) && s.Bytes == p.objects.bytes() && s.Unreadable == 0
	case demoCode:
		return s.Items > 0 && (s.Unreadable == 0) == (p.git != nil)
	}
	return s.Items > 0 && (s.Unreadable == 0) == (p.svn != nil)
}

// restoreBucket restores the second snapshot to the bucket that the intruder emptied, and compares.
func (d *demo) restoreBucket(ctx context.Context) error {
	before := d.snapshots[1]
	if _, err := d.restoreObjects(ctx, before, d.cloud.url(demoOwner)); err != nil {
		return err
	}
	compared, err := d.cloud.compareBucket(ctx, before.objects)
	if err != nil {
		return err
	}
	d.sum.Bucket = compared
	return d.tell(compared, "bucket", fmt.Sprintf("byte for byte, with %s", plural(compared.Attributes, "header")))
}

// restoreDirectory restores the first snapshot to a directory, and compares.
func (d *demo) restoreDirectory(ctx context.Context) error {
	first := d.snapshots[0]
	got, err := d.restoreObjects(ctx, first, "restored")
	if err != nil {
		return err
	}
	renamed := map[string]string{}
	for _, r := range got.Renamed {
		key := r.Path
		if r.Path64 != nil {
			key = string(r.Path64)
		}
		renamed[key] = r.To
	}
	compared, err := compareDirectory(d.path("bare", "restored"), first.objects, renamed)
	if err != nil {
		return err
	}
	d.e.say("   %s can't be called like their keys: the summary lists their names", plural(int64(len(renamed)), "file"))
	d.sum.Directory = compared
	return d.tell(compared, "directory", "byte for byte")
}

// restoreObjects restores the bucket's objects as a pass had them.
func (d *demo) restoreObjects(ctx context.Context, at demoSnapshot, to string) (*restoreResult, error) {
	got, err := d.restoreSource(ctx, demoBucket, at, to)
	if err == nil && got.Restored != int64(len(at.objects)) {
		err = damagef("%s were to be restored", plural(int64(len(at.objects)), "item"))
	}
	return got, err
}

// restoreSource restores a source as a pass had it, on the bare machine.
func (d *demo) restoreSource(ctx context.Context, source string, at demoSnapshot, to string) (*restoreResult, error) {
	var got restoreResult
	seconds, err := d.farshore(ctx, "bare", &got, "restore", "--vault", d.vaultURL(), "--identity", "recovery.key",
		"--source", source, "--at", strconv.FormatInt(at.numbers[source], 10), "--to", to)
	if err != nil {
		return nil, err
	}
	d.e.say("   %s restored, %s (%s)", plural(got.Restored, "item"), formatBytes(got.Bytes), demoSeconds(seconds))
	return &got, nil
}

// tell says what was compared, and fails when something differs.
func (d *demo) tell(c demoComparison, where, also string) error {
	if err := c.err(where); err != nil {
		return err
	}
	d.e.say("   compared %s:\n   %s, %s: no difference", also, plural(c.Items, "item"), formatBytes(c.Bytes))
	return nil
}

// verify proves the whole vault.
func (d *demo) verify(ctx context.Context) error {
	var got verifyResult
	seconds, err := d.farshore(ctx, "bare", &got, "verify", "--full", "--vault", d.vaultURL(), "--identity", "recovery.key")
	if err != nil {
		return err
	}
	if got.Full == nil {
		return damagef("verify says nothing of what it read: %+v", got)
	}
	full := got.Full
	checked := full.Repositories
	if !full.ItemsChecked || checked.Checked < d.repositories.count() || checked.Unchecked > 0 {
		return damagef("verify did not rebuild and check everything: %+v", got)
	}
	d.sum.Verified, d.sum.VerifiedRepositories = full.Items, checked.Checked
	if d.sum.StoredObjects, d.sum.StoredBytes, err = treeSize(d.path("vault")); err != nil {
		return err
	}
	d.e.say("   %s (%s) have the bytes that their names promise", plural(full.Objects, "object"), formatBytes(full.ObjectBytes))
	d.e.say("   %s, all that differ between snapshots, are rebuilt", plural(full.Items, "content"))
	d.e.say("   and have their SHA-256 (%s)", demoSeconds(seconds))
	if checked.Checked > 0 {
		d.e.say("   %s of repositories restored, and checked by %s", plural(checked.Checked, "capture"), d.checkers())
	}
	return nil
}

// treeSize counts the files below a directory, and their bytes.
func treeSize(root string) (files, bytes int64, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files++
			bytes += info.Size()
		}
		return err
	})
	return files, bytes, err
}

// since says how long something took.
func since(begin time.Time) string { return demoSeconds(time.Since(begin).Seconds()) }

// demoSeconds writes a short time.
func demoSeconds(s float64) string { return fmt.Sprintf("%.1f s", s) }
