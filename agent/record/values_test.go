package record

import (
	"encoding/base64"
	"testing"
)

// vectorValues gives, for each vector, what it stands for.
func vectorValues(t testing.TB) map[string]any {
	values := map[string]any{}
	for _, more := range []map[string]any{segmentValues(), rootValues(), smallValues(), listValues(), statementValues(t), commitValues(t)} {
		for name, v := range more {
			values[name] = v
		}
	}
	return values
}

func packA() Ref { return ref("pack a", 33554432) }
func packB() Ref { return ref("pack b", 64) }

func content(size int64, text string, extents ...Extent) Part {
	return Part{Kind: PartContent, Size: size, SHA256: sum(text), Extents: extents}
}

func photo() *Record {
	return &Record{
		Path: "photos/2026/summer/DSC_0001.jpg", Kind: KindObject, State: Present,
		Attrs: Attrs{
			"etag": `"9b2cf535f27731c974343645a3985328"`, "modified": "2026-11-21T19:10:54Z", "h:content-type": "image/jpeg",
			"h:cache-control": "max-age=3600", "m:camera": "", "t:owner": "archive", "c:crc64nvme": "1NIFCV3OUps=", "c:type": "FULL_OBJECT",
		},
		Parts: []Part{content(3145728, "DSC_0001", Extent{packA(), 1048576, 2097152}, Extent{packB(), 0, 1048576})},
	}
}

func deleted(path string) *Record { return &Record{Path: path, Kind: KindObject, State: Deleted} }

func segmentValues() map[string]any {
	both := []Ref{packA(), packB()}
	return map[string]any{
		"segment/empty.jsonl": &segment{},
		"segment/plain.jsonl": &segment{SegmentHeader{From: "photos/", To: "photos0", Records: 2, Packs: both}, []*Record{
			photo(),
			{Path: "photos/empty", Kind: KindObject, State: Present, Parts: []Part{content(0, "")}},
		}},
		"segment/names.jsonl": &segment{SegmentHeader{From: "a", To: "\xff\xff", Records: 4}, []*Record{
			deleted("a\b\f\n\r\t\x00\x1f"),
			deleted("a \"quoted\" \\ <b>&</b>\u2028\u2029\x7f"),
			{Path: "grün/日本語/😀", Kind: KindObject, State: Unreadable, Reason: ReasonOther, Detail: "bad byte \xfe",
				Attrs: Attrs{"m:mark": "base64:", "t:\xff": "\xff\x00"}},
			deleted("\xfe\x80"),
		}},
		"segment/states.jsonl": &segment{SegmentHeader{Records: 6, Packs: both[:1]}, []*Record{
			{Path: "k", Kind: KindObject, State: DeleteMarker, Attrs: Attrs{"version-id": "v3"}},
			{Path: "k", Version: "v1", Kind: KindObject, State: Present, Parts: []Part{{Kind: PartContent, Size: 17180917760, SHA256: sum("large"),
				Pages: []PartPage{{ref("page 1", 131072), 0, 16 << 30}, {ref("page 2", 4096), 16 << 30, 1 << 20}}}}},
			{Path: "k", Version: "v1", Kind: "sidecar", State: Deleted},
			{Path: "l", Kind: KindObject, State: Unreadable, Reason: ReasonArchived, Detail: "InvalidObjectState: the object is in GLACIER",
				Attrs: Attrs{"class": "GLACIER", "size": "12"},
				Last:  &Record{State: Present, Attrs: Attrs{"etag": `"e"`}, Parts: []Part{content(12, "last", Extent{packA(), 0, 12})}}},
			{Path: "m", Kind: KindObject, State: Unreadable, Reason: ReasonDenied},
			{Path: "repo", Kind: "git", State: Present, Parts: []Part{
				{Kind: "refs", Size: 10, SHA256: sum("refs"), Extents: []Extent{{packA(), 12, 10}}},
				{Kind: "pack", Encoding: "thin", Base: "tip", Attrs: Attrs{"tip": "x"}, Size: 100, SHA256: sum("thin"), Extents: []Extent{{packA(), 22, 60}}},
			}},
		}},
		"segment/repositories.jsonl": &segment{SegmentHeader{Records: 4, Packs: both[:1]}, []*Record{
			{Path: "team/app.git", Kind: KindGit, State: Present, Attrs: Attrs{"format": "sha1", AttrOmitted: "refs/heads/x: its object is missing\n"}, Parts: []Part{
				{Kind: PartRefs, Size: 9 << 20, SHA256: sum("refs"), Lines: []PartPage{{ref("l1", 300), 0, 8 << 20}, {ref("l2", 200), 8 << 20, 1 << 20}}},
				{Kind: PartRefsDelta, Size: 13, SHA256: sum("delta"), Inline: "{\"ref\":\"é\"}\n"},
				{Kind: PartPack, Attrs: Attrs{"trailer": "t1"}, Size: 10, SHA256: sum("pack"), Extents: []Extent{{packA(), 0, 10}}},
				{Kind: PartPack, Base: "t1", Attrs: Attrs{"trailer": "t2", "thin": "yes"}, Size: 5, SHA256: sum("thin"), Extents: []Extent{{packA(), 10, 5}}},
			}},
			{Path: "team/app.git", Kind: KindLFS, State: Present, Parts: []Part{{Kind: PartLFS, Size: 12, SHA256: sum("large"), Extents: []Extent{{packA(), 15, 12}}}}},
			{Path: "team/app.git", Kind: KindSidecar, State: Present, Parts: []Part{
				{Kind: PartFile, Attrs: Attrs{"name": "description", "mode": "644"}, Size: 3, SHA256: sum("abc"), Inline: "\xe9\n\x00"},
				{Kind: PartFile, Attrs: Attrs{"name": "empty", "mode": "755"}, SHA256: sum("")},
			}},
			{Path: "team/svn", Kind: KindSVN, State: Unreadable, Reason: ReasonVanished, Detail: "not listed", Last: &Record{State: Present, Parts: []Part{
				{Kind: PartDump, Size: 1, SHA256: sum("d"), Extents: []Extent{{packA(), 27, 1}}}}}},
		}},
		"extents/plain.jsonl": []Extent{{packA(), 0, 4194304}, {packB(), 1<<30 - 1, 1}, {packA(), 4194304, 1}},
		"extents/empty.jsonl": []Extent(nil),
	}
}

func rootValues() map[string]any {
	place := Place{Name: "photos", Kind: "s3", Place: "https://s3.example.com/photos"}
	s1 := func(records int) Stacked { return Stacked{Ref: ref("s1", 4096), Records: records} }
	return map[string]any{
		"root/small.jsonl": &Root{Source: place, Ranges: []RootRange{{}}},
		"root/full.jsonl": &Root{
			Source: place, Include: []string{"photos/**"}, Exclude: []string{"**/*.tmp", "<&>"},
			Ranges: []RootRange{
				{To: "m", Splits: []string{"c", "g/ü"}, Segments: []Stacked{s1(10), {ref("s2", 1048576), 2000, true}}},
				{From: "m", To: "\xf0", Segments: []Stacked{s1(0)}},
				{From: "\xf0"},
			},
			Keys: ref("keys", 640), Tables: []Ref{ref("t1", 1000), ref("t2", 2000)},
			States: []StateRef{{ref("st1", 300), "refs"}, {ref("st2", 300), ""}},
		},
		"root/paged.jsonl": &Root{
			Source: place, Keys: ref("keys", 640),
			Pages: []RootPage{{Ref: ref("r1", 70000), To: "k"}, {Ref: ref("r2", 70000), From: "k"}},
		},
		"root/ranges.jsonl": []RootRange{{From: "a", To: "b", Segments: []Stacked{s1(10)}}, {From: "b", To: "c"}},
	}
}

func smallValues() map[string]any {
	id := sum("key").String()[:16]
	head := TableHeader{Signer: half("signer"), Domain: half("chain"), Key: id}
	return map[string]any{
		"table/plain.jsonl": &table{head, []tableLine{
			{packA(), []TableChunk{{sum("c1"), 1 << 20}, {sum("c2"), 1}}},
			{packB(), []TableChunk{{sum("c3"), 4 << 20}}},
		}},
		"table/empty.jsonl": &table{head, []tableLine{{ref("pack a", 64), nil}}},
		"keys/plain.jsonl":  []DomainKeys{{Domain: half("chain"), ID: id, ChunkName: sum("name key"), Cutting: sum("cutting key")}},
		"state/plain.jsonl": &state{"refs", [][]byte{[]byte(`{"refs/heads/main":"1234"}`), []byte("[]")}},
		"state/empty.jsonl": &state{},
		"lines/plain.jsonl": []byte("{\"format\":\"sha1\"}\n\xff is no text\n\n"),
		"lines/empty.jsonl": []byte{},
	}
}

func listValues() map[string]any {
	s2 := LiveSegment{ref("s2", 1048576), sum("older list")}
	root := LiveMeta{ref("root", 2048), LiveRoot}
	return map[string]any{
		"list/full.txt": &List{
			Sections: []ListSection{
				{Segment: sum("s1"), Packs: []Ref{packA(), packB()}, Meta: []Ref{ref("page 1", 131072)}},
				{Segment: sum("s3")},
			},
			HasLive:  true,
			Segments: []LiveSegment{{Ref: ref("s1", 4096)}, s2},
			Meta: []LiveMeta{root, {ref("r1", 70000), LiveRanges}, {ref("t1", 1000), LiveTable}, {ref("keys", 640), LiveKeys},
				{ref("st1", 300), LiveState}},
			Pages: []Ref{ref("lp", 200000)},
		},
		"list/sections.txt": &List{Sections: []ListSection{{Segment: sum("s1"), Packs: []Ref{packA()}}}},
		"list/empty.txt":    &List{},
		"list/live.txt":     &List{HasLive: true},
		"list/page.txt":     &ListPage{Segments: []LiveSegment{s2}, Meta: []LiveMeta{root}},
		"list/prune.txt":    &PruneList{Packs: []Ref{packA()}, Meta: []Ref{ref("page 1", 131072)}},
		"list/remap.txt":    &RemapList{Moved: []Moved{{sum("pack a"), 1048576, 2097152, sum("pack c"), 0}}},
	}
}

func firstStatement(t testing.TB) *Statement {
	return &Statement{
		N: 1, Time: at3339(t, "2026-11-21T19:10:54.5Z"), Owner: publicKey("owner"), Format: 1,
		Parameters: Parameters{
			PackSize: 32 << 20, FrameSize: 1 << 20, Chunking: "jc-v1.0.0", ChunkMin: 256 << 10, ChunkNormal: 1 << 20, ChunkMax: 4 << 20,
			ChunkName: "blake3-keyed-256", Compression: "zstd", Padding: "steps-1",
		},
		Recipients: []Recipient{
			{Recipient: "age1pq1recovery", Role: RoleRecovery},
			{Recipient: "age1pq1agent", Role: RoleMetadata, Signer: publicKeyID("agent")},
		},
		Signers: []Signer{{ID: publicKeyID("agent"), Algorithm: "ed25519", Key: publicKey("agent"), Roles: []string{RoleAgent}, Sources: []string{"*"}}},
	}
}

func statementValues(t testing.TB) map[string]any {
	full := firstStatement(t)
	full.N, full.Prev, full.Time = 2, sumPtr("statement 1"), at3339(t, "2027-01-01T00:00:00Z")
	full.Signers = append(full.Signers, Signer{
		ID: publicKeyID("auditor"), Algorithm: "ed25519", Key: publicKey("auditor"), Roles: []string{RoleAuditor, RoleSteward},
		From: at3339(t, "2026-12-01T00:00:00Z"), Until: at3339(t, "2027-12-01T00:00:00.000000001Z"),
	})
	full.Revoked = []Revocation{{Signer: publicKeyID("agent"), Chain: half("chain")}, {Signer: publicKeyID("lost")}, {Commit: sumPtr("commit")}}
	full.Prune = []Prune{{ref("prune", 500), at3339(t, "2027-02-01T00:00:00Z")}}
	full.Remap = []Ref{ref("remap", 700)}
	full.Note = "after the <move> & \"more\"\u2028"
	return map[string]any{"statement/first.json": firstStatement(t), "statement/full.json": full}
}

func commitValues(t testing.TB) map[string]any {
	packs := []Ref{packA(), packB()}
	counts := Counts{Items: 3, Bytes: 3145728, Unreadable: 1, New: 2}
	return map[string]any{
		"commit/first.json": &Commit{
			Chain: half("chain"), Seq: 1, Statement: sum("statement 1"), Time: at3339(t, "2026-11-21T20:00:00Z"),
			Source: base64.StdEncoding.EncodeToString([]byte("age-encryption.org/v1\n-> \xff")), Complete: true,
			Root: refPtr("root", 2048), List: refPtr("list", 900), Packs: packs, Meta: []Ref{ref("root", 2048), ref("list", 900)}, Counts: counts,
		},
		"commit/continues.json": &Commit{
			Chain: half("chain 2"), Seq: 1, Continues: &Continues{half("chain"), 41, sum("commit 41")}, Statement: sum("statement 2"),
			Time: at3339(t, "2026-11-22T20:00:00.000000001Z"), Source: "YWdl", Suspicious: []string{"81 of 90 items were deleted"},
			Root: refPtr("root", 2048), List: refPtr("list", 900), Packs: packs, Adopted: []Hash{sum("pack b")}, Counts: counts,
		},
		"commit/accepted.json": &Commit{
			Chain: half("chain"), Seq: 2, Prev: sumPtr("commit 1"), Statement: sum("statement 1"), Time: at3339(t, "2026-11-23T20:00:00Z"), Complete: true,
			Accepted: []string{"deleted-share: 300 of the 1000 items of snapshot 41 were deleted (30.0 %, threshold 30 %)"},
			Root:     refPtr("root", 2048), List: refPtr("list", 900), Packs: packs, Meta: []Ref{ref("root", 2048), ref("list", 900)},
			Counts: Counts{Items: 3, Bytes: 3145728, Unreadable: 1, New: 2, Raw: 2097152, Stored: 1048576},
		},
		"commit/retired.json": &Commit{
			Chain: half("chain"), Seq: 2, Prev: sumPtr("commit 1"), Statement: sum("statement 1"), Time: at3339(t, "2026-11-23T20:00:00Z"), Retired: true,
		},
		"commit/read-back.json": &Commit{
			Chain: half("chain"), Seq: 2, Prev: sumPtr("commit 1"), Statement: sum("statement 1"), Time: at3339(t, "2026-11-23T20:00:00Z"), Complete: true,
			Root: refPtr("root", 2048), List: refPtr("list", 900), Packs: packs, Meta: []Ref{ref("root", 2048), ref("list", 900)}, Counts: counts,
			ReadBack: &ReadBack{Items: 1, Bytes: 1048576, OfItems: 2, OfBytes: 3145728},
		},
	}
}
