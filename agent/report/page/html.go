package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"

	"farshore/agent/units"
)

//go:embed page.css
var css string

//go:embed page.html.tmpl
var source string

// HTML writes the view as one page that needs nothing else: no script, no font, no picture from anywhere. Its policy for the browser allows its own style sheet, by its hash, and
// nothing besides. An error is the writer's.
func HTML(w io.Writer, v *View) error {
	t, err := template.New("page").Funcs(template.FuncMap{"spans": units.Spans}).Parse(source)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(css))
	data := struct {
		*document
		CSS    template.CSS
		Policy string
	}{&v.doc, template.CSS(css), "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}
