package page_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
)

// sample is a report as it may lie in a vault, with its history.
type sample struct {
	name    string
	entry   *report.Entry
	names   *report.Names
	history []*report.Entry
}

var end = time.Date(2026, 10, 3, 3, 41, 12, 0, time.UTC)

const (
	day    = 24 * time.Hour
	agent  = "1f3a9c2b7d4e5f60718293a4b5c6d7e8"
	chainA = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	chainB = "5b6c7d8e9fa0b1c2d3e4f5061728394a"
	chainC = "c0ffee00112233445566778899aabbcc"
)

func hashOf(s string) record.Hash { return sha256.Sum256([]byte(s)) }

func ptr[T any](v T) *T { return &v }

func packName(s string) string { return record.PackName(hashOf(s)) }

// intact is the newest audit of a vault of 40 TB that is as it should be.
func intact(t time.Time) *report.Audit {
	const packs, pages = 1_318_204, 41_377
	const packBytes, pageBytes = 40_213_118_976_512, 96_114_892_800
	return &report.Audit{
		Type: report.TypeAudit, Prev: ptr(hashOf("prev" + t.String())), Vault: hashOf("vault"), Time: t, Started: t.Add(-72*time.Minute - 31*time.Second), Program: "farshore 1.4.0 linux/amd64",
		Statement: 7, Pinned: true, Mode: report.ModeSample, End: report.EndDone, Verdict: report.VerdictIntact, Commitment: ptr(hashOf("commitment")), Seed: ptr(hashOf("seed")),
		Heads:      []report.Head{{Chain: chainA, Seq: 8812, Hash: hashOf("a")}, {Chain: chainB, Seq: 2911, Hash: hashOf("b")}, {Chain: chainC, Seq: 8790, Hash: hashOf("c")}},
		Budget:     report.Budget{Bytes: 440 << 30, Seconds: 6 * 3600, CoverageDays: 90, EverySeconds: 86400},
		Population: report.Population{Chains: 3, Commits: 20_513, Packs: packs, PackBytes: packBytes, Pages: pages, PageBytes: pageBytes, Items: 48_211_904, ItemBytes: 61_207_339_110_400},
		Inventory:  report.Inventory{Done: true, Present: packs + pages, Versions: "seen"},
		Parts: []report.Part{
			{Part: report.PartPacks, Planned: 1298, Checked: 1298, Bytes: 42_519_232_512, Intact: 1298, Digest: hashOf("1")},
			{Part: report.PartPages, Planned: 4106, Checked: 4106, Bytes: 9_532_211_200, Intact: 4106, Digest: hashOf("2")},
			{Part: report.PartBytes, Planned: 1301, Checked: 1301, Bytes: 42_512_010_240, Intact: 1301, Digest: hashOf("3")},
			{Part: report.PartRisk, Planned: 1440, Checked: 1440, Bytes: 47_010_816_000, Intact: 1440, Digest: hashOf("4")},
			{Part: report.PartCoverage, Planned: 10_116, Checked: 10_116, Bytes: 330_712_956_928, Intact: 10_116, Digest: hashOf("5"), Sweeps: []report.Sweep{{From: "3000000000000000", To: "31f0000000000000", Only: "all"}}},
		},
		ReadObjects: 18_184, ReadObjectBytes: 471_002_118_144,
		Bounds: []report.Bound{
			{Unit: report.UnitPacks, Population: packs, Sampled: 1298, Method: report.MethodHypergeometric, Upper95: 0.002304117, Upper99: 0.003540216},
			{Unit: report.UnitPages, Population: pages, Sampled: 4106, Method: report.MethodHypergeometric, Upper95: 0.000676001, Upper99: 0.001061},
			{Unit: report.UnitBytes, Population: packBytes, Sampled: 1301, Method: report.MethodBinomial, Upper95: 0.00230001, Upper99: 0.003533512},
			{Unit: report.UnitItems, Population: 48_211_904, Sampled: 1000, Method: report.MethodBinomial, Upper95: 0.002991246, Upper99: 0.004594608},
		},
		Coverage: report.Coverage{
			Verified: packs + pages - 219, VerifiedBytes: packBytes + pageBytes - 7_013_892_096, Never: 219, NeverBytes: 7_013_892_096,
			Oldest: t.Add(-88*day - 3*time.Hour), NeverSince: t.Add(-9 * time.Hour), Met: ptr(true), Feasible: ptr(true), NeededBytes: 447 << 30,
		},
		Ledger:     ring(t, 90),
		Items:      report.ItemCounts{Tried: true, Drawn: 1000, Restored: 1000, Bytes: 1_308_111_872, Compared: 941, Same: 941, Changed: 52, Unseen: 7},
		Repos:      report.RepoCounts{Checked: 6},
		Written:    report.Written{Commits: 20_101, Silent: 412, Items: 51_000_212, Bytes: 63_118_992_113_664, ItemsRead: 2_101_882, BytesRead: 2_611_340_214_272, Adopted: 77},
		Locks:      &report.LockState{Needed: 1_204_118, Estimated: true, Asked: 300, Locked: 300, First: t.Add(26 * day)},
		Store:      &report.StoreState{Versioning: "enabled", Lock: true, Mode: "COMPLIANCE", RetentionSeconds: 35 * 86400},
		Protection: &report.Protection{Required: "append-only", Verdict: "protected", Words: "in each room the store denied to overwrite, delete, shorten a lock and change the bucket", Time: t.Add(-5 * time.Hour), Expires: t.Add(19 * time.Hour)},
		Keys:       report.KeyState{Recovery: 2, DrillTime: t.Add(-12 * day), DrillDrawn: 200, DrillOpened: 200},
		Sources: []report.SourceState{
			{Chain: chainA, Seq: 8812, Time: t.Add(-41 * time.Minute), GoodSeq: 8812, GoodTime: t.Add(-41 * time.Minute), Snapshots: 8812, Items: 48_113_002, Bytes: 60_994_118_238_208, StoredBytes: 40_100_000_000_000, AgeSeconds: 2460, TargetSeconds: 7200},
			{Chain: chainB, Seq: 2911, Time: t.Add(-5 * time.Hour), GoodSeq: 2911, GoodTime: t.Add(-5 * time.Hour), Snapshots: 2911, Items: 312, Bytes: 88_114_118_238, StoredBytes: 61_000_000_000, AgeSeconds: 18_000, TargetSeconds: 86_400},
			{Chain: chainC, Seq: 8790, Time: t.Add(-62 * time.Minute), GoodSeq: 8790, GoodTime: t.Add(-62 * time.Minute), Snapshots: 8790, Items: 98_590, Bytes: 125_106_753_954, StoredBytes: 52_000_000_000, AgeSeconds: 3720, TargetSeconds: 7200},
		},
		NotChecked: []report.NotChecked{
			{What: "packs and pages not read in this run", Count: 1_341_320, Why: "the budget was over"},
			{What: "items not put together", Count: 48_210_904, Why: "a sample of 1,000 was drawn"},
			{What: "packs not asked for their lock", Count: 1_203_818, Why: "a sample of 300 was asked"},
		},
		Requests: 20_611, ReadBytes: 475_118_223_360,
	}
}

// ring is a ledger that was gone over once in so many days, by an audit a day.
func ring(t time.Time, days int) report.Ledger {
	l := report.Ledger{Positions: []report.Position{{{Chain: chainA, Seq: 8700}}}}
	for i := range days {
		from := uint64(float64(i) / float64(days) * math.MaxUint64)
		if i == 0 {
			from = 0
		}
		age := (i*1 + 37) % days
		l.Arcs = append(l.Arcs, report.Arc{From: fmt.Sprintf("%016x", from), Time: t.Add(-time.Duration(age) * day)})
	}
	return l
}

func sampleNames() *report.Names {
	return &report.Names{
		Sources: map[string]string{chainA: "shop-uploads", chainB: "git-main", chainC: "invoices"},
		Items:   []string{"shop-uploads: 2026/09/14/order-88121/scan-0007.tiff", "shop-uploads: 2026/09/14/order-88121/scan-0008.tiff", "invoices: 2025/Q4/INV-2025-118822.pdf"},
	}
}

func entry(a *report.Audit, seq int64) *report.Entry {
	return &report.Entry{
		Name: report.Name(agent, seq), Seq: seq, Hash: hashOf(fmt.Sprint("report", seq)), Signer: agent, Role: report.RoleAgent, Time: a.Time, Kind: report.TypeAudit, Audit: a,
	}
}

// year is a history of so many audits, one in every so often, ending before the last.
func year(last *report.Audit, n int, every time.Duration) []*report.Entry {
	var out []*report.Entry
	for i := 1; i <= n; i++ {
		a := intact(last.Time.Add(-every * time.Duration(i)))
		back := 1 - float64(i)/float64(n)*0.46
		a.Population.PackBytes = int64(float64(last.Population.PackBytes) * back)
		a.Coverage.NeverBytes = int64(float64(a.Population.PackBytes) * 0.0002)
		if left := n - i; left < n/4 {
			a.Coverage.NeverBytes = int64(float64(a.Population.PackBytes) * (1 - float64(left)/float64(n)*4))
			a.Coverage.Met = nil
		}
		a.Coverage.VerifiedBytes = a.Population.PackBytes - a.Coverage.NeverBytes
		if i%97 < 6 && i > 90 {
			a.Coverage.Met, a.Coverage.OverdueBytes = ptr(false), int64(float64(a.Population.PackBytes)*0.08)
		}
		a.Parts[4].Checked = int64(float64(a.Parts[4].Checked) * back * (0.9 + 0.1*math.Sin(float64(i))))
		a.Parts[4].Intact = a.Parts[4].Checked
		if i == n/3 {
			a.Parts[4].Failed, a.Parts[4].Intact = 2, a.Parts[4].Checked-2
		}
		if i%(max(n/4, 2)) == 1 {
			d := drillOf(a.Time)
			d.Seconds *= 0.7 + float64(i%5)*0.12
			e := entry(&report.Audit{Type: report.TypeAudit, Vault: a.Vault, Time: a.Time.Add(3 * time.Hour), Started: a.Time, Mode: report.ModeDrill, End: report.EndDone, Verdict: report.VerdictIntact, Drill: d}, int64(5000-i))
			e.Signer, e.Role = "aa"+agent[2:], report.RoleOwner
			out = append(out, e)
		}
		out = append(out, entry(a, int64(2000-i)))
	}
	return out
}

func drillOf(t time.Time) *report.Drill {
	return &report.Drill{Chain: chainC, Seq: 8611, Into: "bucket", Started: t.Add(-2 * time.Hour), Seconds: 6412.4, TargetSeconds: 7200, Met: ptr(true), Items: 98_112, Bytes: 124_118_992_113}
}

// samples are those that the golden files show.
func samples() []sample {
	out := []sample{}
	add := func(name string, names *report.Names, history []*report.Entry, change func(*report.Audit)) {
		a := intact(end)
		change(a)
		out = append(out, sample{name, entry(a, 2000), names, history})
	}
	whole := intact(end)
	add("intact", sampleNames(), year(whole, 365, day), func(*report.Audit) {})
	add("damaged", sampleNames(), year(whole, 52, 7*day), damage)
	add("tampered", sampleNames(), nil, tamperWith)
	add("incomplete", sampleNames(), nil, func(a *report.Audit) {
		a.Verdict, a.End = report.VerdictIncomplete, report.EndTime
		a.Parts[4].Checked, a.Parts[4].Intact, a.Parts[4].Bytes = 4402, 4390, 143_000_000_000
		a.Parts[4].Unread = 12
		a.ReadObjects, a.ReadObjectBytes = 12_460, 283_290_121_216
		a.Coverage.Met, a.Coverage.Overdue, a.Coverage.OverdueBytes = ptr(false), 5512, 180_000_000_000
		a.Coverage.Feasible, a.Budget.Bytes = ptr(false), 120<<30
		a.Sources[0].Late, a.Sources[0].AgeSeconds = true, 9300
		a.Sources[2].Suspicious, a.Sources[2].GoodSeq = []string{"62 % of the items were deleted since the snapshot before"}, 8789
		a.Sources[2].GoodTime = a.Time.Add(-4 * time.Hour)
		a.Keys.DrillTime, a.Keys.DrillDrawn, a.Keys.DrillOpened = time.Time{}, 0, 0
		a.Items = report.ItemCounts{Tried: true}
		a.Pinned = false
	})
	add("interrupted", nil, nil, func(a *report.Audit) {
		a.Verdict, a.End = report.VerdictIncomplete, report.EndInterrupted
		a.Parts, a.ReadObjects, a.ReadObjectBytes = a.Parts[:2], 2098, 44_319_232_512
		a.Parts[1].Checked, a.Parts[1].Intact, a.Parts[1].Bytes = 800, 800, 1_800_000_000
		a.Items = report.ItemCounts{}
		a.Repos = report.RepoCounts{}
		a.Bounds = a.Bounds[:2]
	})
	add("full", sampleNames(), nil, full)
	add("drill", sampleNames(), nil, func(a *report.Audit) {
		d := drillOf(a.Time)
		*a = report.Audit{Type: a.Type, Vault: a.Vault, Time: a.Time, Started: d.Started, Program: a.Program, Statement: 7, Pinned: true, Mode: report.ModeDrill, End: report.EndDone, Verdict: report.VerdictIntact, Drill: d, Heads: a.Heads, Requests: 5211, ReadBytes: 131 << 30}
	})
	add("keyless", nil, nil, func(a *report.Audit) {
		a.Items, a.Repos = report.ItemCounts{}, report.RepoCounts{}
		a.Bounds = a.Bounds[:3]
		a.Protection, a.Locks, a.Store, a.Inventory.Versions = nil, nil, nil, "denied"
		a.Population.Items, a.Population.ItemBytes = 0, 0
		a.Budget.CoverageDays, a.Coverage.Met, a.Coverage.Feasible = 0, nil, nil
		for i := range a.Sources {
			a.Sources[i].TargetSeconds, a.Sources[i].Items, a.Sources[i].Bytes = 0, 0, 0
		}
	})
	out = append(out, sample{name: "empty", entry: &report.Entry{Time: end, Audit: &report.Audit{
		Type: report.TypeAudit, Vault: hashOf("vault"), Time: end, Started: end.Add(-time.Second), Program: "farshore 1.4.0 linux/amd64", Statement: 1, Pinned: true,
		Mode: report.ModeSample, End: report.EndDone, Verdict: report.VerdictIntact, Inventory: report.Inventory{Done: true, Versions: "none"}, Keys: report.KeyState{Recovery: 1}, Requests: 9,
	}}})
	return append(out, hostile(), headerDrill(), commitment())
}

func damage(a *report.Audit) {
	a.Verdict = report.VerdictDamaged
	a.Parts[0].Failed, a.Parts[0].Intact = 1, a.Parts[0].Checked-1
	a.Parts[4].Failed, a.Parts[4].Intact = 1, a.Parts[4].Checked-1
	a.Inventory.Missing, a.Inventory.Present = 1, a.Inventory.Present-1
	a.Bounds[0].Failed, a.Bounds[0].Upper95, a.Bounds[0].Upper99 = 1, 0.003649, 0.0051
	a.Damaged = []report.Damage{
		{Object: packName("x"), Kind: report.DamageBytes, Since: end, Snapshots: 412, First: []report.ChainPosition{{Chain: chainA, Seq: 8401}, {Chain: chainA, Seq: 8402}, {Chain: chainA, Seq: 8403}}, Items: 2, Names: []int64{1, 2}, Remedy: report.RemedySource},
		{Object: packName("y"), Kind: report.DamageMissing, Since: end.Add(-2 * day), Snapshots: 3, First: []report.ChainPosition{{Chain: chainC, Seq: 31}, {Chain: chainC, Seq: 32}, {Chain: chainC, Seq: 33}}, Items: 1, Names: []int64{3}, Remedy: report.RemedyNone},
	}
	a.Findings = []report.AuditFinding{
		{Severity: "damage", Object: packName("x"), Text: "its bytes have another hash"},
		{Severity: "damage", Text: "the item's SHA-256 is not that of its record", Item: 1},
		{Severity: "notice", Object: packName("z"), Text: "an earlier audit found it damaged; it is whole again"},
	}
	a.Items.Failed, a.Items.Restored = 1, 999
	a.ReadObjects--
	a.ReadObjectBytes -= 32 << 20
}

func tamperWith(a *report.Audit) {
	a.Verdict = report.VerdictTampered
	a.Inventory.ExtraVersions, a.Inventory.Markers, a.Inventory.Hidden = 2, 1, 3
	a.Findings = []report.AuditFinding{
		{Severity: "tampering", Object: packName("t"), Text: "a delete marker lies over it, and the right version beneath"},
		{Severity: "tampering", Object: packName("u"), Text: "other bytes lie over it; the right version was read from beneath"},
	}
	a.Sources[1].RolledBack = true
	a.Protection.Verdict, a.Protection.Words = "unprotected", "unprotected: it may overwrite in packs/, and nothing keeps what it hides"
	a.Store.Rules = []string{"expire after 30 days below packs/"}
	a.Store.Changed = []string{"retention was 35d00h and is 1d00h"}
	a.Locks.Locked, a.Locks.Expired, a.Locks.First = 288, 12, end.Add(2*day)
}

func full(a *report.Audit) {
	a.Mode = report.ModeFull
	n := a.Population.Packs + a.Population.Pages
	a.Parts = []report.Part{{Part: report.PartAll, Planned: n, Checked: n, Intact: n, Bytes: a.Population.PackBytes + a.Population.PageBytes, Digest: hashOf("all")}}
	a.ReadObjects, a.ReadObjectBytes = n, a.Population.PackBytes+a.Population.PageBytes
	a.Bounds = []report.Bound{
		{Unit: report.UnitPacks, Population: a.Population.Packs, Sampled: a.Population.Packs, Method: report.MethodCensus},
		{Unit: report.UnitPages, Population: a.Population.Pages, Sampled: a.Population.Pages, Method: report.MethodCensus},
		{Unit: report.UnitBytes, Population: a.Population.PackBytes, Sampled: a.Population.PackBytes, Method: report.MethodCensus},
	}
	a.Coverage = report.Coverage{Verified: n, VerifiedBytes: a.Population.PackBytes + a.Population.PageBytes, Oldest: end.Add(-9 * time.Hour)}
	a.Ledger = report.Ledger{Arcs: []report.Arc{{From: "0000000000000000", Time: end.Add(-9 * time.Hour)}}}
	a.Budget = report.Budget{}
	a.Commitment, a.Seed, a.NotChecked = nil, nil, nil
}

const script = `</style></title><script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`"

// hostile has what a stranger would write where he may write.
func hostile() sample {
	a := intact(end)
	damage(a)
	nasty := script + "\x1b[2J\u202egnp.exe\u2066\x00\r\nSet-Cookie: a=b https://evil.example/x.js"
	a.Program, a.Why, a.Protection.Words, a.Protection.Verdict = nasty, nasty, nasty, nasty
	a.Damaged[0].Object, a.Damaged[0].Kind, a.Damaged[0].Advice, a.Damaged[0].Remedy = nasty, nasty, nasty, nasty
	a.Damaged[1].Object = "packs/../../" + strings.Repeat("A", 10<<10)
	a.Damaged[1].Names = []int64{1, 2, 3, 4, -7, 99}
	a.Findings = append(a.Findings, report.AuditFinding{Severity: nasty, Object: nasty, Text: nasty, Item: 2}, report.AuditFinding{Severity: "tampering", Text: strings.Repeat("long ", 5000)})
	a.NotChecked = []report.NotChecked{{What: nasty, Count: -1, Why: nasty}}
	a.Sources[0].Chain, a.Sources[0].Suspicious = nasty, []string{nasty}
	a.Store = &report.StoreState{Versioning: nasty, Lock: true, Mode: nasty, Rules: []string{nasty}, Unknown: []string{nasty}, Changed: []string{nasty}}
	a.Locks.Why = nasty
	a.Parts[0].Part, a.Bounds[0].Unit, a.Bounds[0].Method = nasty, nasty, nasty
	a.Drill = &report.Drill{Chain: nasty, Into: nasty, Started: end, Seconds: math.MaxFloat64}
	a.Ledger.Arcs = append(a.Ledger.Arcs, report.Arc{From: nasty}, report.Arc{From: "0000000000000000"})
	e := entry(a, 2000)
	e.Name, e.Signer, e.Role = nasty, nasty, nasty
	names := &report.Names{
		Sources: map[string]string{chainB: nasty, chainC: strings.Repeat("ש/", 6000)},
		Items:   []string{nasty, "shop: " + strings.Repeat("d/", 5<<10), "\xff\xfe\u200b\u2028\ufeff"},
	}
	return sample{"hostile", e, names, nil}
}

func headerDrill() sample {
	d := &report.HeaderDrill{Type: report.TypeHeaderDrill, Vault: hashOf("vault"), Time: end, Statement: 7, Recovery: 2, Heads: intact(end).Heads, Population: 1_318_204, Drawn: 200, Opened: 198, Failed: 1, Unread: 1}
	d.Findings = []report.Finding{{Pack: hashOf("h"), Kind: report.WrongKey, Detail: "no recipient of it is one of the recovery identity's"}, {Pack: hashOf("i"), Kind: report.Unread, Detail: "the store did not answer"}}
	return sample{name: "header", entry: &report.Entry{Name: report.Name(agent, 12), Seq: 12, Hash: hashOf("header"), Signer: agent, Role: report.RoleOwner, Time: end, Kind: report.TypeHeaderDrill, Drill: d}}
}

func commitment() sample {
	c := &report.Commitment{Type: report.TypeCommitment, Vault: hashOf("vault"), Time: end, Statement: 7, Seed: hashOf("seed"), Heads: intact(end).Heads, Budget: report.Budget{Bytes: 10 << 30}}
	return sample{name: "commitment", entry: &report.Entry{Name: report.Name(agent, 13), Seq: 13, Hash: hashOf("c"), Signer: agent, Role: report.RoleAgent, Time: end, Kind: report.TypeCommitment, Commitment: c}}
}
