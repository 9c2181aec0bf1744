package config

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// schemaID names the schema of this format of configuration. It is a name, not an address.
const schemaID = "urn:farshore:config:1"

// Schema is a JSON Schema (2020-12) of the file, for editors: made of the tables that the parser reads with. What the parser takes, the schema takes; it can't say all that the parser
// does.
func Schema() ([]byte, error) {
	s := mappingSchema(shape{kind: kindMapping, fields: new(parser).topFields(new(Config))})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = schemaID
	s["title"] = "Configuration of farshore"
	s["description"] = "One YAML file, read strictly: a key that is not known is an error. It holds no secret. `farshore config check` says all that is wrong with it."
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return b.Bytes(), nil
}

// schemaOf is the schema of a value.
func schemaOf(s shape) map[string]any {
	switch s.kind {
	case kindMapping:
		return mappingSchema(s)
	case kindList:
		return listSchema(s)
	case kindSwitch:
		return map[string]any{"type": "boolean"}
	}
	out := map[string]any{"type": "string"}
	switch s.kind {
	case kindAmount:
		out["type"], out["minimum"] = []string{"string", "number"}, s.least
	case kindWhole:
		out["type"], out["minimum"] = []string{"string", "integer"}, s.least
	case kindZero:
		out["type"], out["minimum"], out["maximum"] = []string{"string", "integer"}, 0, 0
	}
	if s.pattern != "" {
		out["pattern"] = s.pattern
	}
	if len(s.words) > 0 {
		delete(out, "type")
		out["enum"] = s.words
	}
	return out
}

// mappingSchema is the schema of a section.
func mappingSchema(s shape) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range s.fields {
		p := schemaOf(f.shape)
		p["title"], p["description"] = f.key, f.about.text
		if f.about.fallback != nil {
			p["default"] = f.about.fallback
		}
		if len(f.about.examples) > 0 {
			p["examples"] = f.about.examples
		}
		properties[f.key] = p
		if f.required {
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if s.instead != "" {
		return map[string]any{"anyOf": []any{out, map[string]any{"const": s.instead}}}
	}
	return out
}

// listSchema is the schema of a list.
func listSchema(s shape) map[string]any {
	out := map[string]any{"type": "array", "items": schemaOf(*s.item)}
	if s.empty {
		out["type"] = []string{"array", "null"}
	}
	if s.item.kind == kindText {
		out["uniqueItems"] = true
	}
	return out
}
