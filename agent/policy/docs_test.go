package policy

import (
	"os"
	"strings"
	"testing"
)

// docs is what users read of the providers.
const docs = "../../docs/policies.md"

// Between these lines stands the matrix.
const matrixBegin, matrixEnd = "<!-- matrix -->", "<!-- end of matrix -->"

// TestDocs holds the matrix that users read to what the command says.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(b), matrixBegin+"\n")
	got, after, ok2 := strings.Cut(rest, matrixEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no matrix between %s and %s", docs, matrixBegin, matrixEnd)
	}
	want := matrix()
	if *update {
		if err := os.WriteFile(docs, []byte(before+matrixBegin+"\n"+want+matrixEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("the matrix in %s is not what the command says: run with -update", docs)
	}
}

// matrix is the table of all providers, in order.
func matrix() string {
	var w strings.Builder
	w.WriteString("| `--provider` | strength | what carries the property | what it can't enforce |\n|---|---|---|---|\n")
	for _, name := range Names() {
		s := stores[Provider(name)]
		w.WriteString("| `" + name + "` (" + s.title + ") | " + string(s.strength) + " | " + s.words + " | " + strings.Join(s.limits, " ") + " |\n")
	}
	return w.String()
}
