package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// fill puts the first objects into the bucket.
func (d *demo) fill(ctx context.Context) error {
	begin := time.Now()
	d.now = demoBegin()
	if err := d.cloud.put(ctx, d.now); err != nil {
		return err
	}
	d.e.say("   at %s, with %s, %s: tiny, text, random,", d.cloud.endpoint, plural(int64(len(d.now)), "object"), formatBytes(d.now.bytes()))
	d.e.say("   one of %s, and keys that no file can be called (%s)", formatBytes(demoLarge), since(begin))
	return nil
}

// begin makes the vault and names the bucket as its source.
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
	return nil
}

// replicate makes a pass.
func (d *demo) replicate(ctx context.Context) error {
	var got replicateResult
	seconds, err := d.farshore(ctx, "agent", &got, "replicate")
	if err != nil {
		return err
	}
	if len(got.Sources) != 1 || !got.Sources[0].Complete {
		return fmt.Errorf("the pass is not complete: %+v", got)
	}
	s := got.Sources[0]
	d.snapshots = append(d.snapshots, demoSnapshot{s.Seq, d.now})
	d.sum.ReadBytes += s.ReadBytes
	d.sum.UniqueBytes += s.StoredBytes
	d.e.say("   %s listed; %s new, %s changed, %s deleted", plural(s.Listed, "item"), formatCount(s.New), formatCount(s.Changed), formatCount(s.Deleted))
	d.e.say("   %s read, %s of them new to the vault, in %s (%s)", formatBytes(s.ReadBytes), formatBytes(s.StoredBytes), plural(s.StoredPacks, "pack"), demoSeconds(seconds))
	return nil
}

// change does what a day's work does to a bucket.
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
	return nil
}

// attack deletes everything that the bucket has, as one who has the owner's credentials can.
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
	d.e.say("   %s deleted; the bucket is empty", plural(int64(len(keys)), "object"))
	return err
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
	if len(got.Chains) != 1 || len(got.Chains[0].Snapshots) != len(d.snapshots) || got.Chains[0].Source != demoBucket {
		return damagef("there should be %s of one source: %+v", plural(int64(len(d.snapshots)), "snapshot"), got)
	}
	for i, s := range got.Chains[0].Snapshots {
		d.e.say("   snapshot %d  %.19sZ  %5s items  %8s  %s", s.Seq, s.Time, formatCount(s.Items), formatBytes(s.Bytes), s.state())
		if d.snapshots[i].number != s.Seq || !s.Complete || s.Items != int64(len(d.snapshots[i].objects)) || s.Bytes != d.snapshots[i].objects.bytes() {
			return damagef("snapshot %d is not what the pass found", s.Seq)
		}
		d.sum.HistoryItems += s.Items
		d.sum.HistoryBytes += s.Bytes
	}
	d.sum.Snapshots = len(d.snapshots)
	return nil
}

// restoreBucket restores the second snapshot to the bucket that the intruder emptied, and compares.
func (d *demo) restoreBucket(ctx context.Context) error {
	before := d.snapshots[1]
	if _, err := d.restore(ctx, before, d.cloud.url(demoOwner)); err != nil {
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
	got, err := d.restore(ctx, first, "restored")
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

// restore restores a snapshot on the bare machine.
func (d *demo) restore(ctx context.Context, snapshot demoSnapshot, to string) (*restoreResult, error) {
	var got restoreResult
	seconds, err := d.farshore(ctx, "bare", &got, "restore", "--vault", d.vaultURL(), "--identity", "recovery.key",
		"--source", demoBucket, "--at", strconv.FormatInt(snapshot.number, 10), "--to", to)
	if err != nil {
		return nil, err
	}
	d.e.say("   %s restored, %s (%s)", plural(got.Restored, "item"), formatBytes(got.Bytes), demoSeconds(seconds))
	if got.Restored != int64(len(snapshot.objects)) {
		return nil, damagef("%s were to be restored", plural(int64(len(snapshot.objects)), "item"))
	}
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
	if !got.Rebuilt {
		return damagef("verify rebuilt no item: %+v", got)
	}
	d.sum.Verified = got.Items
	if d.sum.StoredObjects, d.sum.StoredBytes, err = treeSize(d.path("vault")); err != nil {
		return err
	}
	d.e.say("   %s (%s) have the bytes that their names promise", plural(got.Objects, "object"), formatBytes(got.Bytes))
	d.e.say("   %s, all that differ in %s, are rebuilt and have their", plural(got.Items, "item"), plural(int64(d.sum.Snapshots), "snapshot"))
	d.e.say("   SHA-256 (%s)", demoSeconds(seconds))
	d.sum.whole = true
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
