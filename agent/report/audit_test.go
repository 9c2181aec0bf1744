package report

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
)

const chainA, chainB = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func to[T any](v T) *T { return &v }

// sample is an audit with something of everything, which found damage.
func sample() *Audit {
	return &Audit{
		Type: TypeAudit, Prev: to(sum("report 1")), Vault: sum("vault"), Time: noon, Started: noon.Add(-time.Hour), Program: "farshore 0.1", Statement: 2, Pinned: true,
		Mode: ModeSample, End: EndTime, Why: "", Verdict: VerdictDamaged, Commitment: to(sum("commitment")), Seed: to(sum("seed")),
		Heads:      []Head{{chainA, 9, sum("commit 9")}, {chainB, 1, sum("commit 1")}},
		Budget:     Budget{Bytes: 1 << 30, Seconds: 7200, CoverageDays: 90, EverySeconds: 86400},
		Population: Population{Chains: 2, Commits: 10, Packs: 1204, PackBytes: 40 << 30, Pages: 96, PageBytes: 1 << 30, Items: 50_000, ItemBytes: 90 << 30},
		Inventory:  Inventory{Done: true, Present: 1299, Missing: 1, WrongSize: 1, Hidden: 2, Versions: "seen", ExtraVersions: 3, Markers: 1, Unnamed: 4, UnnamedBytes: 4096, Junk: 3},
		Parts: []Part{
			{Part: PartPacks, Planned: 30, Checked: 30, Bytes: 900 << 20, Intact: 28, Failed: 1, Unread: 1, Digest: sum("packs")},
			{Part: PartPages, Planned: 4, Checked: 4, Bytes: 4 << 20, Intact: 4, Digest: sum("pages")},
			{Part: PartBytes, Planned: 30, Checked: 29, Bytes: 900 << 20, Intact: 29, Digest: sum("bytes")},
			{Part: PartRisk, Planned: 10, Checked: 0, Digest: sum("")},
			{Part: PartCoverage, Planned: 300, Checked: 250, Bytes: 8 << 30, Intact: 250, Digest: sum("coverage"), Sweeps: []Sweep{
				{From: firstName, To: "4000000000000000", Only: SweepNew}, {From: "4000000000000000", Only: SweepAll},
			}},
		},
		ReadObjects: 270, ReadObjectBytes: 9 << 30,
		Bounds: []Bound{
			{Unit: UnitPacks, Population: 1204, Sampled: 30, Failed: 2, Method: MethodHypergeometric, Upper95: 0.193521595, Upper99: 0.255813954},
			{Unit: UnitBytes, Population: 40 << 30, Sampled: 29, Method: MethodBinomial, Upper95: 0.0981, Upper99: 0.1468},
			{Unit: UnitItems, Population: 3, Sampled: 3, Method: MethodCensus},
		},
		Coverage: Coverage{Verified: 1290, VerifiedBytes: 40 << 30, Never: 10, NeverBytes: 1 << 20, Oldest: noon.AddDate(0, 0, -34), NeverSince: noon.AddDate(0, 0, -1), Met: to(false),
			Overdue: 2, OverdueBytes: 2 << 20, Feasible: to(true), NeededBytes: 700 << 20},
		Ledger: Ledger{
			Arcs:      []Arc{{From: firstName, Time: noon.Add(-time.Minute), Position: 1}, {From: "4000000000000000"}, {From: "c000000000000000", Time: noon.AddDate(0, 0, -34)}},
			Positions: []Position{{{chainA, 4}}, {{chainA, 9}, {chainB, 1}}, nil},
		},
		Items:      ItemCounts{Tried: true, Drawn: 20, Restored: 18, Failed: 1, Locked: 1, Bytes: 1 << 20, Compared: 5, Same: 4, Differ: 1, Changed: 3, Unseen: 2},
		Repos:      RepoCounts{Checked: 2, Problems: 1, Unchecked: 3},
		Written:    Written{Commits: 8, Silent: 2, Items: 500, Bytes: 1 << 30, ItemsRead: 40, BytesRead: 1 << 25, Adopted: 1},
		Locks:      &LockState{Needed: 1300, Estimated: true, Asked: 500, Locked: 400, Liftable: 50, Expired: 1, Unlocked: 9, Unknown: 40, First: noon.AddDate(0, 1, 0), FirstObject: record.PackName(sum("pack c")), Why: "denied"},
		Store:      &StoreState{Versioning: "enabled", Lock: true, Mode: "COMPLIANCE", RetentionSeconds: 86400 * 90, Rules: []string{"expire \"old\""}, Unknown: []string{"policy: denied"}, Changed: []string{"mode"}},
		Protection: &Protection{Required: "protected", Verdict: "protected", Words: "nothing it may do destroys", Time: noon.AddDate(0, 0, -2), Expires: noon.AddDate(0, 0, 28)},
		Keys:       KeyState{Recovery: 2, DrillTime: noon.AddDate(0, -1, 0), DrillDrawn: 50, DrillOpened: 49, DrillFailed: 1},
		Sources: []SourceState{
			{Chain: chainA, Seq: 9, Time: noon.Add(-30 * time.Minute), GoodSeq: 8, GoodTime: noon.AddDate(0, 0, -1), Suspicious: []string{"many deletions"}, Snapshots: 7, Items: 49_000, Bytes: 89 << 30,
				Unreadable: 1, StoredBytes: 41 << 30, AgeSeconds: 1800, TargetSeconds: 3600, RolledBack: true},
			{Chain: chainB, Retired: true, AgeSeconds: 90, TargetSeconds: 60, Late: true},
		},
		MoreSources: 1,
		Damaged: []Damage{
			{Object: record.PackName(sum("pack a")), Kind: DamageMissing, Since: noon.AddDate(0, 0, -7), Snapshots: 3, First: []ChainPosition{{chainA, 2}, {chainA, 3}}, Items: 12, Names: []int64{1, 2}, Remedy: RemedySource, Advice: "run replicate"},
			{Object: record.MetaName(sum("page b")), Kind: DamageBytes, Since: noon, Items: -1, Remedy: RemedyUnknown},
		},
		MoreDamaged: 5,
		Findings: []AuditFinding{
			{Severity: "damage", Object: record.PackName(sum("pack a")), Text: "it is missing", Item: 1},
			{Severity: "notice", Text: "a\u2028line \"break\" \\ <b>\x1b"},
		},
		Omitted: 2, NotChecked: []NotChecked{{"objects", 1010, "the budget"}, {"locks", -1, "the store does not tell"}},
		Requests: 1500, ReadBytes: 9 << 30, Sealed: "YWdl",
	}
}

// drilled is an audit of a drill, intact.
func drilled() *Audit {
	return &Audit{
		Type: TypeAudit, Vault: sum("vault"), Time: noon, Started: noon.Add(-4 * time.Hour), Program: "farshore 0.1", Statement: 1, Mode: ModeDrill, End: EndDone, Verdict: VerdictIntact,
		Drill: &Drill{Chain: chainA, Seq: 9, Into: IntoRepositories, Started: noon.Add(-4 * time.Hour), Seconds: 11520.25, TargetSeconds: 14400, Met: to(true), Items: 1204, Bytes: 3 << 30, Repositories: 12},
	}
}

// empty is a full audit of a vault that has nothing yet.
func empty() *Audit {
	return &Audit{
		Type: TypeAudit, Vault: sum("vault"), Time: noon, Started: noon, Program: "farshore 0.1", Statement: 1, Mode: ModeFull, End: EndDone, Verdict: VerdictIntact,
		Inventory: Inventory{Done: true, Versions: "none"}, Parts: []Part{{Part: PartAll, Digest: sum("")}},
	}
}

func commitment() *Commitment {
	return &Commitment{
		Type: TypeCommitment, Prev: to(sum("report 0")), Vault: sum("vault"), Time: noon.Add(-time.Hour), Statement: 2, Seed: sum("hash of the seed"),
		Heads: []Head{{chainA, 9, sum("commit 9")}, {chainB, 1, sum("commit 1")}}, Budget: Budget{Bytes: 1 << 30, CoverageDays: 90, EverySeconds: 86400},
	}
}

// auditVectors are the values that the files stand for.
func auditVectors() map[string]Body {
	first := commitment()
	first.Prev, first.Heads, first.Budget = nil, nil, Budget{}
	return map[string]Body{
		"audit.json": sample(), "audit-drill.json": drilled(), "audit-empty.json": empty(), "commitment.json": commitment(), "commitment-first.json": first,
	}
}

// encoded encodes a body that must be right.
func encoded(t testing.TB, b Body) []byte {
	t.Helper()
	out, err := Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decodedAs(b Body, data []byte) (Body, error) {
	got := newBody(b.common().kind)
	if err := decodeBody(data, got); err != nil {
		return nil, err
	}
	return got, nil
}

// TestAuditVectors decodes each vector into the value that it stands for, and encodes that value into the vector's bytes.
func TestAuditVectors(t *testing.T) {
	for name, want := range auditVectors() {
		made := encoded(t, want)
		path := filepath.Join(vectorDir, name)
		if *update {
			if err := os.WriteFile(path, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, stored) {
			t.Errorf("%s: encoded\n%s\nin place of\n%s", name, made, stored)
		}
		if got, err := decodedAs(want, stored); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: decoded %+v, %v", name, got, err)
		}
	}
}

// auditChanges make a good audit one that must be refused, with a part of what is said of it.
func auditChanges() map[string][3]string {
	return map[string][3]string{
		"type":              {`"audit"`, `"header-drill"`, "type is"},
		"name-case":         {`"mode":`, `"Mode":`, `"Mode" is no name`},
		"name-deep":         {`"program":"farshore 0.1"`, `"program":"farshore 0.1","later":[{"x":{"ſ":1}}]`, "is no name"},
		"twice":             {`"statement":2`, `"statement":2,"statement":2`, `"statement" is given twice`},
		"twice-deep":        {`"statement":2`, `"statement":2,"later":{"a":{"b":1,"b":2}}`, `"b" is given twice`},
		"null":              {`"owner_pinned":true`, `"owner_pinned":null`, "owner_pinned: "},
		"null-list":         {`"parts":[{`, `"parts":[null,{`, "parts: [0]: is not an object"},
		"null-text":         {`"program":"farshore 0.1"`, `"program":null`, "program: "},
		"no-mode":           {`"mode":"sample",`, ``, "member mode is missing"},
		"no-omitted":        {`"omitted":2,`, ``, "member omitted is missing"},
		"no-inner":          {`"packs":1204,`, ``, "population: member packs is missing"},
		"time":              {`"started":"2026-11-22T11:00:00Z"`, `"started":"2026-11-22T11:00:00+00:00"`, "started: "},
		"time-digits":       {`"started":"2026-11-22T11:00:00Z"`, `"started":"2026-11-22T11:00:00.1234567891Z"`, "started: "},
		"time-zero":         {`"oldest":"2026-10-19T12:00:00Z"`, `"oldest":"0001-01-01T00:00:00Z"`, "oldest: "},
		"started":           {`"started":"2026-11-22T11:00:00Z"`, `"started":"2026-11-22T12:00:00.000000001Z"`, "later than time"},
		"mode":              {`"mode":"sample"`, `"mode":"total"`, "mode"},
		"mode-drill":        {`"mode":"sample"`, `"mode":"drill"`, "drill is there"},
		"end":               {`"end":"time"`, `"end":"over"`, "end"},
		"end-failed":        {`"end":"time"`, `"end":"failed"`, "why is missing"},
		"verdict":           {`"verdict":"damaged"`, `"verdict":"verified"`, "verdict"},
		"verdict-intact":    {`"verdict":"damaged"`, `"verdict":"intact"`, "objects are damaged"},
		"verdict-short":     {`"verdict":"damaged"`, `"verdict":"incomplete"`, "objects are damaged"},
		"commitment":        {`"seed":`, `"seeds":`, "no seed"},
		"seed":              {`"seed":"`, `"seed":"A`, "seed: "},
		"head-order":        {`"chain":"ffeedd`, `"chain":"000000`, "heads[1]: is not behind"},
		"versions":          {`"versions":"seen"`, `"versions":"some"`, "inventory: versions"},
		"inventory":         {`"missing":1`, `"missing":2`, "inventory: more"},
		"inventory-done":    {`"missing":1`, `"missing":0`, "inventory: it is done"},
		"part":              {`"part":"packs"`, `"part":"pack"`, "parts[0]: part"},
		"part-twice":        {`"part":"pages"`, `"part":"packs"`, "parts[1]: part"},
		"part-more":         {`"planned":30,"checked":30`, `"planned":29,"checked":30`, "parts[0]: checked is 30"},
		"part-sum":          {`"intact":28`, `"intact":29`, "parts[0]: intact"},
		"part-population":   {`"planned":4,`, `"planned":97,`, "parts[1]: planned"},
		"read-objects":      {`"read_objects":270`, `"read_objects":249`, "read_objects is 249, and a part has 250"},
		"read-more":         {`"read_objects":270`, `"read_objects":1301`, "read_objects is 1301"},
		"read-bytes":        {`"read_object_bytes":9663676416`, `"read_object_bytes":44023414785`, "more than there are"},
		"part-digest":       {`"digest":"`, `"digest":"0`, "digest: "},
		"sweep-part":        {`"part":"coverage"`, `"part":"risk"`, ""},
		"sweep":             {`"to":"4000000000000000"`, `"to":"0000000000000000"`, "sweeps[0]"},
		"sweep-only":        {`"only":"new"`, `"only":"old"`, "sweeps[0]"},
		"bound-unit":        {`"unit":"packs"`, `"unit":"bits"`, "bounds[0]: unit"},
		"bound-method":      {`"method":"clopper-pearson"`, `"method":"guess"`, "bounds[1]: method"},
		"bound-failed":      {`"sampled":30,"failed":2`, `"sampled":30,"failed":31`, "bounds[0]: failed"},
		"bound-low":         {`"upper_95":0.193521595`, `"upper_95":0.05`, "less than what was found"},
		"bound-negative":    {`"upper_95":0.0981`, `"upper_95":-0.1`, "upper_95"},
		"bound-large":       {`"upper_99":0.1468`, `"upper_99":1.0001`, "bounds[1]: upper"},
		"bound-order":       {`"upper_99":0.1468`, `"upper_99":0.05`, "bounds[1]: upper"},
		"bound-census":      {`"population":3,"sampled":3`, `"population":4,"sampled":3`, "bounds[2]: sampled"},
		"bound-more":        {`"population":1204,"sampled"`, `"population":12,"sampled"`, "bounds[0]: sampled"},
		"bound-nan":         {`"upper_95":0.0981`, `"upper_95":"NaN"`, "upper_95: "},
		"coverage":          {`"verified":1290`, `"verified":1291`, "coverage: "},
		"coverage-met":      {`"met":false`, `"met":true`, "coverage: the promise"},
		"coverage-truth":    {`"met":false`, `"met":0`, "met: "},
		"arc-first":         {`"arcs":[{"from":"0000000000000000"`, `"arcs":[{"from":"0000000000000001"`, "arcs[0]"},
		"arc-order":         {`{"from":"c000000000000000"`, `{"from":"4000000000000000"`, "arcs[2]"},
		"arc-position":      {`"position":1`, `"position":3`, "arcs[0]: position"},
		"arc-empty":         {`{"from":"4000000000000000","position":0}`, `{"from":"4000000000000000","position":1}`, "arcs[1]: position"},
		"position-order":    {`{"chain":"ffeeddccbbaa99887766554433221100","seq":1}],`, `{"chain":"00112233445566778899aabbccddeeff","seq":1}],`, "positions[1][1]"},
		"position-seq":      {`[{"chain":"00112233445566778899aabbccddeeff","seq":4}]`, `[{"chain":"00112233445566778899aabbccddeeff","seq":0}]`, "positions[0][0]"},
		"items":             {`"restored":18`, `"restored":19`, "items: "},
		"items-tried":       {`"tried":true`, `"tried":false`, "items: none"},
		"compared":          {`"same":4`, `"same":5`, "items: same"},
		"read-back":         {`"items_read_back":40`, `"items_read_back":501`, "read_back: "},
		"headers":           {`"drill_opened":49`, `"drill_opened":50`, "keys: "},
		"source-order":      {`{"chain":"ffeeddccbbaa99887766554433221100","retired"`, `{"chain":"00112233445566778899aabbccddeeff","retired"`, "sources[1]"},
		"damaged-object":    {`"damaged":[{"object":"packs/`, `"damaged":[{"object":"bags/`, "damaged[0]: object"},
		"damaged-kind":      {`"kind":"missing"`, `"kind":"lost"`, "damaged[0]: kind"},
		"damaged-remedy":    {`"remedy":"source"`, `"remedy":"prayer"`, "damaged[0]: remedy"},
		"damaged-items":     {`"items":-1`, `"items":-2`, "items: "},
		"damaged-names":     {`"names":[1,2]`, `"names":[1,1001]`, "damaged[0]: names"},
		"damaged-first":     {`"first":[{"chain":"0011`, `"first":[{"chain":"zz11`, "damaged[0]: first"},
		"finding-severity":  {`"severity":"damage"`, `"severity":"bad"`, "findings[0]: severity"},
		"finding-text":      {`"text":"it is missing"`, `"text":""`, "findings[0]: text"},
		"finding-item":      {`"item":1`, `"item":1001`, "findings[0]: item"},
		"not-checked":       {`"what":"objects"`, `"what":""`, "not_checked[0]"},
		"not-checked-count": {`"count":1010`, `"count":-2`, "count: "},
		"negative":          {`"requests":1500`, `"requests":-1`, "requests is -1"},
		"fraction":          {`"requests":1500`, `"requests":1.5e3`, "requests: "},
		"large":             {`"requests":1500`, `"requests":9007199254740992`, "requests: "},
		"text-long":         {`"program":"farshore 0.1"`, `"program":"` + strings.Repeat("x", MaxText+1) + `"`, "program has more"},
		"surrogate":         {`"program":"farshore 0.1"`, `"program":"\ud800"`, "surrogate"},
		"trailing":          {`"sealed":"YWdl"}`, `"sealed":"YWdl"}{}`, "not JSON"},
	}
}

// TestBadAudits holds that each is refused with a report of where, and with no value. They lie beside the good ones, as vectors for others.
func TestBadAudits(t *testing.T) {
	good := string(encoded(t, sample()))
	for name, c := range auditChanges() {
		holdBad(t, "audit-"+name, good, c, func(b []byte) (any, error) { a, err := DecodeAudit(b); return a, err })
	}
	good = string(encoded(t, commitment()))
	for name, c := range map[string][3]string{
		"no-seed": {`"seed_hash"`, `"seed"`, "member seed_hash is missing"},
		"type":    {`"audit-commitment"`, `"audit"`, "type is"},
		"budget":  {`"bytes":1073741824`, `"bytes":-1`, "bytes is -1"},
		"heads":   {`"chain":"0011`, `"chain":"001"},{"chain":"0011`, ""},
	} {
		holdBad(t, "commitment-"+name, good, c, func(b []byte) (any, error) { a, err := DecodeCommitment(b); return a, err })
	}
}

func holdBad(t *testing.T, name, good string, c [3]string, decode func([]byte) (any, error)) {
	t.Helper()
	bad := strings.Replace(good, c[0], c[1], 1)
	if bad == good {
		t.Errorf("%s changes nothing", name)
		return
	}
	path := filepath.Join(vectorDir, "bad", name+".json")
	if *update {
		if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v, err := decode(stored)
	if err == nil || !reflect.ValueOf(v).IsNil() || !strings.Contains(err.Error(), c[2]) || !strings.HasPrefix(err.Error(), "report: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %+v, %v", name, v, err)
	}
}

// TestVerdicts holds that no verdict is better than what was found.
func TestVerdicts(t *testing.T) {
	calm := func(change func(*Audit)) *Audit {
		a := empty()
		a.Population = Population{Packs: 10, Pages: 2}
		a.Inventory.Present = 12
		a.Parts = []Part{{Part: PartPacks, Planned: 2, Checked: 2, Intact: 2, Digest: sum("x")}}
		a.ReadObjects = 2
		change(a)
		return a
	}
	bad := map[string]func(*Audit){
		"failed":  func(a *Audit) { a.Parts[0].Intact, a.Parts[0].Failed = 1, 1 },
		"missing": func(a *Audit) { a.Inventory.Present, a.Inventory.Missing = 11, 1 },
		"size":    func(a *Audit) { a.Inventory.WrongSize = 1 },
		"items":   func(a *Audit) { a.Items = ItemCounts{Tried: true, Drawn: 1, Failed: 1} },
		"repos":   func(a *Audit) { a.Repos.Problems = 1 },
		"more":    func(a *Audit) { a.MoreDamaged = 1 },
		"finding": func(a *Audit) { a.Findings = []AuditFinding{{Severity: "tampering", Text: "x"}} },
	}
	short := map[string]func(*Audit){
		"unread":    func(a *Audit) { a.Parts[0].Intact, a.Parts[0].Unread = 1, 1 },
		"unchecked": func(a *Audit) { a.Parts[0].Planned = 3 },
		"listing":   func(a *Audit) { a.Inventory.Done = false },
		"stopped":   func(a *Audit) { a.End = EndInterrupted },
		"time":      func(a *Audit) { a.End = EndTime },
	}
	if _, err := Encode(calm(func(*Audit) {})); err != nil {
		t.Error(err)
	}
	for _, verdict := range []string{VerdictIntact, VerdictIncomplete, VerdictDamaged, VerdictTampered} {
		for name, change := range bad {
			a := calm(change)
			a.Verdict = verdict
			if _, err := Encode(a); (err == nil) != (verdict == VerdictDamaged || verdict == VerdictTampered) {
				t.Errorf("%s, %s: %v", verdict, name, err)
			}
		}
		for name, change := range short {
			a := calm(change)
			a.Verdict = verdict
			if _, err := Encode(a); (err == nil) != (verdict != VerdictIntact) {
				t.Errorf("%s, %s: %v", verdict, name, err)
			}
		}
	}
}

// TestWhatCantBeWritten holds that nothing is written that no reader takes.
func TestWhatCantBeWritten(t *testing.T) {
	for name, change := range map[string]func(*Audit){
		"not UTF-8":    func(a *Audit) { a.Why = "\xff" },
		"year 10000":   func(a *Audit) { a.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no since":     func(a *Audit) { a.Damaged[0].Since = time.Time{} },
		"zero hash":    func(a *Audit) { a.Seed = new(record.Hash) },
		"no vault":     func(a *Audit) { a.Vault = record.Hash{} },
		"other type":   func(a *Audit) { a.Type = TypeCommitment },
		"too large":    func(a *Audit) { a.Requests = 1 << 53 },
		"long text":    func(a *Audit) { a.Why = strings.Repeat("x", MaxText+1) },
		"NaN":          func(a *Audit) { zero := 0.0; a.Bounds[0].Upper95 = zero / zero },
		"many rules":   func(a *Audit) { a.Store.Rules = make([]string, 65) },
		"many refs":    func(a *Audit) { a.Damaged[0].Names = make([]int64, MaxRefs+1) },
		"no statement": func(a *Audit) { a.Statement = 0 },
	} {
		a := sample()
		change(a)
		if b, err := Encode(a); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// FuzzAudit holds that what is decoded encodes to something that decodes to the same.
func FuzzAudit(f *testing.F) {
	for _, v := range auditVectors() {
		f.Add(encoded(f, v))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, b := range []Body{new(Audit), new(Commitment)} {
			if decodeBody(data, b) != nil {
				continue
			}
			out := encoded(t, b)
			again, err := decodedAs(b, out)
			if err != nil || !reflect.DeepEqual(again, b) {
				t.Fatalf("%+v became %+v, %v", b, again, err)
			}
			if a, ok := b.(*Audit); ok {
				holdLine(t, a)
			}
		}
	})
}
