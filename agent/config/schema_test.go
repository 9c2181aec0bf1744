package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const schemaFile = "../../docs/config.schema.json"

// TestSchemaFile holds docs/config.schema.json to what the parser's tables say.
func TestSchemaFile(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := readFile(t, schemaFile); !bytes.Equal(got, want) {
		t.Error("docs/config.schema.json is not what the parser's tables say: go test ./agent/config -run TestSchemaFile -update writes it")
	}
}

// compiled is the schema as an editor has it.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid holds YAML to the schema, as an editor does.
func valid(s *jsonschema.Schema, data []byte) error {
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// TestSchema holds every good file to the schema, and every bad one against it, but for those whose fault a schema can't tell.
func TestSchema(t *testing.T) {
	s := compiled(t)
	good, err := filepath.Glob(filepath.Join(goodFiles, "*.yaml"))
	if err != nil || len(good) < 3 {
		t.Fatal(good, err)
	}
	for _, path := range good {
		if err := valid(s, readFile(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	// What lies in the text of a value, between two keys, or in YAML itself.
	beyond := []string{"file-relative", "mixed-recipients", "no-recipients", "rclone-remote", "rclone-secret", "repositories", "web-half", "web-open"}
	bad, err := filepath.Glob(filepath.Join(badFiles, "*.yaml"))
	if err != nil || len(bad) < 10 {
		t.Fatal(bad, err)
	}
	for _, path := range bad {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if err := valid(s, readFile(t, path)); (err == nil) != slices.Contains(beyond, name) {
			t.Errorf("%s: the schema says %v", name, err)
		}
	}
}

// TestSchemaOfEachKey takes each key of the parser by itself: it is described in the schema, its default and examples are taken by parser and schema, and a wrong type, an unknown key
// beside it and no value by neither.
func TestSchemaOfEachKey(t *testing.T) {
	s := compiled(t)
	top := new(parser).topFields(new(Config))
	walkFields(top, nil, func(path []string, f field) {
		name := strings.Join(path, ".")
		if f.about.text == "" || !strings.HasSuffix(f.about.text, ".") {
			t.Errorf("%s: described as %q", name, f.about.text)
		}
		for _, v := range append(slices.Clone(f.about.examples), f.about.fallback) {
			if v == nil {
				continue
			}
			if err := valid(s, document(t, path, v)); err != nil {
				t.Errorf("%s: the schema refuses %v: %v", name, v, err)
			}
			if err := parsesAt(t, path, v); err != nil {
				t.Errorf("%s: the parser refuses %v: %v", name, v, err)
			}
		}
		wrong := []any{map[string]any{"no_such_key": "x"}, nil, []any{[]any{1}}}
		for _, v := range wrong {
			if v == nil && f.shape.empty {
				continue
			}
			if valid(s, document(t, path, v)) == nil {
				t.Errorf("%s: the schema takes %v", name, v)
			}
			if parsesAt(t, path, v) == nil {
				t.Errorf("%s: the parser takes %v", name, v)
			}
		}
	})
}

// walkFields visits all fields and those below them. A list's items are named by a 0.
func walkFields(fields []field, path []string, visit func([]string, field)) {
	for _, f := range fields {
		at := append(slices.Clone(path), f.key)
		visit(at, f)
		walkFields(f.shape.fields, at, visit)
		if f.shape.item != nil {
			walkFields(f.shape.item.fields, append(at, "0"), visit)
		}
	}
}

// base is what each section needs to be well.
func base() map[string]any {
	return map[string]any{
		"vault": "gs://offsite/vault", "owner": "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik", "recipients": []any{"age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25"},
		"metrics": map[string]any{"textfile": "a.prom"},
		"sources": []any{map[string]any{"name": "a", "url": "s3://a"}}, "notify": []any{map[string]any{"name": "a", "kind": "webhook", "url": "env:A"}},
	}
}

// document is a file with one value in one place.
func document(t *testing.T, path []string, v any) []byte {
	t.Helper()
	doc := base()
	m := doc
	for _, key := range path[:len(path)-1] {
		if key == "0" {
			continue // the list's only item, which is there already
		}
		switch next := m[key].(type) {
		case nil:
			below := map[string]any{}
			m[key], m = below, below
		case map[string]any:
			m = next
		case []any:
			m = next[0].(map[string]any)
		}
	}
	m[path[len(path)-1]] = v
	data, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parsesAt reports the problems of the value itself: what it needs beside it is not there.
func parsesAt(t *testing.T, path []string, v any) error {
	t.Helper()
	_, _, problems := parseAll("f.yaml", document(t, path, v))
	beside := []string{"needs", "are given together", "are for ", "is for webhooks", "takes no username"}
	for _, p := range problems.List {
		if v != nil && slices.ContainsFunc(beside, func(text string) bool { return strings.Contains(p.Message, text) }) {
			continue
		}
		return fmt.Errorf("%s: %s", path[len(path)-1], p.Message)
	}
	return nil
}
