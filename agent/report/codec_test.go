package report

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/format/report"

func sum(text string) record.Hash { return sha256.Sum256([]byte(text)) }

// vectors are the values that the files stand for.
func vectors() map[string]*HeaderDrill {
	prev := sum("report 1")
	at := time.Date(2026, 11, 21, 19, 10, 54, 500_000_000, time.UTC)
	return map[string]*HeaderDrill{
		"first.json": {
			Type: TypeHeaderDrill, Vault: sum("vault"), Time: at, Statement: 1, Recovery: 1,
			Heads:      []Head{{"00112233445566778899aabbccddeeff", 2, sum("commit 2")}},
			Population: 3, Drawn: 3, Opened: 3,
		},
		"full.json": {
			Type: TypeHeaderDrill, Prev: &prev, Vault: sum("vault"), Time: at.Add(time.Hour), Statement: 4, Recovery: 2,
			Heads: []Head{
				{"00112233445566778899aabbccddeeff", 9, sum("commit 9")},
				{"ffeeddccbbaa99887766554433221100", 1, sum("commit 1")},
			},
			Population: 1200, Drawn: 50, Opened: 46, Failed: 3, Unread: 1,
			Findings: []Finding{
				{sum("pack a"), Missing, "a commit names it, and the store does not have it"},
				{sum("pack b"), WrongKey, "sealed to <others> & \"friends\""},
				{sum("pack c"), ExtraRecipient, ""},
			},
			Omitted: 2,
		},
	}
}

// TestVectors decodes each vector into the value that it stands for, and encodes that value into the vector's bytes.
func TestVectors(t *testing.T) {
	for name, want := range vectors() {
		path := filepath.Join(vectorDir, name)
		made, err := EncodeHeaderDrill(want)
		if err != nil {
			t.Fatal(err)
		}
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
		if got, err := DecodeHeaderDrill(stored); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: decoded %+v, %v", name, got, err)
		}
	}
}

// changes make a good body one that must be refused, with a part of what is said of it.
func changes() map[string][3]string {
	return map[string][3]string{
		"not-json":        {`"type"`, `type`, "not JSON"},
		"type":            {`"header-drill"`, `"audit"`, "type is"},
		"no-type":         {`"type":"header-drill",`, ``, "member type is missing"},
		"type-case":       {`"type":`, `"Type":`, "member type is missing"},
		"twice":           {`"drawn":50`, `"drawn":50,"drawn":50`, `"drawn" is given twice`},
		"vault":           {`"vault":"`, `"vault":"A`, "vault: "},
		"no-vault":        {`"vault"`, `"vaults"`, "member vault is missing"},
		"time":            {`10:54.5Z`, `10:54.5+01:00`, "time: "},
		"time-comma":      {`:54.5Z`, `:54,5Z`, "time: "},
		"statement":       {`"statement":4`, `"statement":0`, "less than 1"},
		"recovery":        {`"recovery":2`, `"recovery":-2`, "recovery: "},
		"fraction":        {`"opened":46`, `"opened":46.0`, "opened: "},
		"string":          {`"opened":46`, `"opened":"46"`, "opened: "},
		"too-large":       {`"population":1200`, `"population":9007199254740992`, "population: "},
		"drawn":           {`"population":1200`, `"population":49`, "of a population of 49"},
		"sum":             {`"unread":1`, `"unread":2`, "not together the 50"},
		"head-chain":      {`"chain":"0011`, `"chain":"0G11`, "heads[0]: chain"},
		"head-order":      {`"chain":"ffeedd`, `"chain":"000000`, "heads[1]: is not behind"},
		"head-seq":        {`"seq":9`, `"seq":0`, "heads[0]: seq"},
		"head-null":       {`{"chain":"0011`, `null,{"chain":"0011`, "heads: [0]: is not an object"},
		"finding-kind":    {`"kind":"missing"`, `"kind":"Missing!"`, "findings[0]: kind"},
		"finding-no-pack": {`"pack":`, `"packs":`, "findings: [0]: member pack is missing"},
		"findings":        {`"findings":[`, `"findings":{"a":[`, ""},
		"trailing":        {`"omitted":2}`, `"omitted":2}{}`, "not JSON"},
		"surrogate":       {`friends`, `\ud800`, "surrogate"},
	}
}

// TestBadBodies holds that each is refused with a report of where, and with no value. Those that are vectors for others lie beside the good ones.
func TestBadBodies(t *testing.T) {
	good, err := EncodeHeaderDrill(vectors()["full.json"])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range changes() {
		bad := strings.Replace(string(good), c[0], c[1], 1)
		if bad == string(good) {
			t.Errorf("%s changes nothing", name)
			continue
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
		d, err := DecodeHeaderDrill(stored)
		if err == nil || d != nil || !strings.Contains(err.Error(), c[2]) || !strings.HasPrefix(err.Error(), "report: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// TestUnknownMembers holds that a reader skips what it does not know.
func TestUnknownMembers(t *testing.T) {
	good, err := EncodeHeaderDrill(vectors()["full.json"])
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(good), `{"type"`, `{"later":{"x":[1]},"type"`, 1)
	more = strings.Replace(more, `{"pack"`, `{"later":null,"pack"`, 1)
	if got, err := DecodeHeaderDrill([]byte(more)); err != nil || !reflect.DeepEqual(got, vectors()["full.json"]) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestEncodeBounds holds that the largest report is one that a reader takes, and that nothing is written that none would.
func TestEncodeBounds(t *testing.T) {
	d := vectors()["first.json"]
	d.Heads = nil
	for i := range MaxHeads {
		d.Heads = append(d.Heads, Head{Chain: strings.Repeat("0", 24) + record.Hash{0: byte(i >> 8), 1: byte(i)}.String()[:8], Seq: 9_999_999_999, Hash: sum("c")})
	}
	for range MaxFindings + 7 {
		d.Note(sum("p"), FewerRecipients, strings.Repeat("\x01é", 4000))
	}
	if len(d.Findings) != MaxFindings || d.Omitted != 7 {
		t.Errorf("%d findings, %d omitted", len(d.Findings), d.Omitted)
	}
	for i := range d.Findings {
		d.Findings[i].Detail = cut(strings.Repeat("é", 4000))
	}
	b, err := EncodeHeaderDrill(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeHeaderDrill(b); err != nil {
		t.Error(err)
	}
	d.Heads = append(d.Heads, Head{Chain: strings.Repeat("f", 32), Seq: 1, Hash: sum("c")})
	if _, err := EncodeHeaderDrill(d); err == nil {
		t.Error("one head too many was written")
	}
}

func TestNames(t *testing.T) {
	id := strings.Repeat("ab", 16)
	name := Name(id, 12)
	if name != "reports/"+id+"/0000000012" {
		t.Error(name)
	}
	if signer, seq, err := ParseName(name); signer != id || seq != 12 || err != nil {
		t.Error(signer, seq, err)
	}
	for _, bad := range []string{"", "reports/", "reports/" + id, name + "0", "reports/" + id + "/0000000000", "reports/" + strings.ToUpper(id) + "/0000000001", "report/" + id + "/0000000001", "reports/" + id + "/+000000001", "reports/canary/x"} {
		if _, _, err := ParseName(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzHeaderDrill holds that what is decoded encodes to something that decodes to the same.
func FuzzHeaderDrill(f *testing.F) {
	for _, d := range vectors() {
		b, err := EncodeHeaderDrill(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := DecodeHeaderDrill(data)
		if err != nil {
			return
		}
		b, err := EncodeHeaderDrill(d)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodeHeaderDrill(b); err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%+v became %+v, %v", d, again, err)
		}
	})
}
