package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"farshore/agent/record"
)

const schemaFile = "../../docs/report.schema.json"

// TestSchema holds every vector to the schema: the good ones pass, and so do those bad ones, and only those, whose fault lies between members or in the text of the JSON.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	good, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	if err != nil || len(good) < 7 {
		t.Fatal(good, err)
	}
	for _, path := range good {
		if err := validate(schema, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	bad, err := filepath.Glob(filepath.Join(vectorDir, "bad", "*.json"))
	if err != nil || len(bad) < 80 {
		t.Fatal(len(bad), err)
	}
	for _, path := range bad {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if got, want := validate(schema, path) == nil, slices.Contains(beyondSchema(), name); got != want {
			t.Errorf("%s: the schema takes it: %v, and should: %v", name, got, want)
		}
	}
}

func validate(schema *jsonschema.Schema, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// beyondSchema are the bad vectors that a schema can't tell.
func beyondSchema() []string {
	return strings.Fields(`twice fraction surrogate drawn sum head-order
		audit-twice audit-twice-deep audit-name-deep audit-surrogate audit-time-zero audit-fraction
		audit-started audit-mode-drill audit-end-failed audit-verdict-intact audit-verdict-short audit-commitment audit-head-order audit-inventory audit-inventory-done audit-part-twice audit-part-more
		audit-part-sum audit-part-population audit-read-objects audit-read-more audit-read-bytes audit-sweep-part audit-sweep audit-bound-failed audit-bound-low audit-bound-order audit-bound-census audit-bound-more audit-coverage audit-coverage-met
		audit-arc-first audit-arc-order audit-arc-position audit-arc-empty audit-position-order audit-items audit-items-tried audit-compared audit-read-back audit-headers audit-source-order`)
}

// definition is what this test reads of a part of the schema.
type definition struct {
	Ref         string                 `json:"$ref"`
	Type        string                 `json:"type"`
	Description string                 `json:"description"`
	Enum        []string               `json:"enum"`
	Const       string                 `json:"const"`
	Required    []string               `json:"required"`
	Properties  map[string]*definition `json:"properties"`
	Items       *definition            `json:"items"`
	MaxItems    int                    `json:"maxItems"`
	MaxLength   int                    `json:"maxLength"`
	MaxProps    int                    `json:"maxProperties"`
	Minimum     *float64               `json:"minimum"`
	Maximum     *float64               `json:"maximum"`
	Additional  any                    `json:"additionalProperties"`
	Defs        map[string]*definition `json:"$defs"`
}

// TestSchemaMembers holds that schema and types have the same members, of the same kinds and bounds, that the same ones may be absent, and that each is described.
func TestSchemaMembers(t *testing.T) {
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root definition
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatal(err)
	}
	m := &matcher{t: t, defs: root.Defs, seen: map[string]bool{"hash": true, "time": true, "count": true, "chain": true, "prefix": true, "seq": true}}
	for name, v := range map[string]any{"header_drill": HeaderDrill{}, "audit_commitment": Commitment{}, "audit": Audit{}, "names": Names{}} {
		m.seen[name] = true
		m.object(name, root.Defs[name], reflect.TypeOf(v))
	}
	for name, d := range root.Defs {
		if !m.seen[name] || d.Description == "" {
			t.Errorf("%s is used by no type, or has no description", name)
		}
	}
}

// matcher holds parts of a schema to types.
type matcher struct {
	t    *testing.T
	defs map[string]*definition
	seen map[string]bool
}

func (m *matcher) object(at string, d *definition, typ reflect.Type) {
	m.t.Helper()
	if d == nil || d.Type != "object" || d.Additional != true {
		m.t.Errorf("%s is no object that may have other members", at)
		return
	}
	members := membersOf(typ)
	for _, x := range members {
		p := d.Properties[x.name]
		if p == nil || p.Description == "" {
			m.t.Errorf("%s.%s is missing, or has no description", at, x.name)
			continue
		}
		if slices.Contains(d.Required, x.name) == x.optional {
			m.t.Errorf("%s.%s: whether it may be absent", at, x.name)
		}
		m.value(at+"."+x.name, p, typ.Field(x.index).Type, x)
	}
	if len(d.Properties) != len(members) {
		m.t.Errorf("%s has %d members, and its type %d", at, len(d.Properties), len(members))
	}
}

func (m *matcher) value(at string, d *definition, typ reflect.Type, x member) {
	m.t.Helper()
	name := strings.TrimPrefix(d.Ref, "#/$defs/")
	if name != "" {
		d = m.defs[name]
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	fail := func(what string) { m.t.Errorf("%s: %s", at, what) }
	switch {
	case d == nil:
		fail("points to nothing")
	case typ == reflect.TypeFor[time.Time](), typ == reflect.TypeFor[record.Hash]():
		if want := map[bool]string{true: "time", false: "hash"}[typ == reflect.TypeFor[time.Time]()]; name != want {
			fail("is no " + want)
		}
	case typ.Kind() == reflect.Struct:
		if !m.seen[name] {
			m.seen[name] = true
			m.object(name, d, typ)
		}
	case typ.Kind() == reflect.Slice:
		if d.Type != "array" || d.MaxItems != most(x.name) || d.Items == nil {
			fail("is no such list")
			return
		}
		m.value(at+"[]", d.Items, typ.Elem(), element(x, typ))
	case typ.Kind() == reflect.Map:
		if d.Type != "object" || d.MaxProps != most(x.name) {
			fail("is no such object")
		}
	case typ.Kind() == reflect.String:
		if d.Const == "" && len(d.Enum) == 0 && (d.Type != "string" || d.MaxLength != 0 && d.MaxLength != most(x.name)) {
			fail("is no such text")
		}
	case typ.Kind() == reflect.Int64:
		if d.Type != "integer" || d.Minimum == nil || d.Maximum == nil || *d.Minimum < float64(x.least) || *d.Maximum > 1<<53-1 {
			fail("is no such integer")
		}
	case typ.Kind() == reflect.Float64:
		if d.Type != "number" || d.Minimum == nil || *d.Minimum != 0 {
			fail("is no such number")
		}
	case typ.Kind() == reflect.Bool:
		if d.Type != "boolean" {
			fail("is not true or false")
		}
	}
}
