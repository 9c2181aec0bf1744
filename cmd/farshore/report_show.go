package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/report"
	"farshore/agent/report/page"
	"farshore/agent/vault"
	"farshore/crypto/sign"
)

// formatHTML is the format of report show that policy has not.
const formatHTML = "html"

func reportShowCommand(e *env) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "show [ID]",
		Short: "Show a report as text, JSON or a page of HTML",
		Long: `Show a report: the newest audit, or the one of ID: its name, SIGNER/NUMBER, or the first digits of its hash. As text, as a page
of HTML in one file that loads nothing, or as the JSON that was signed, byte for byte (docs/report.schema.json describes it).

Items and sources are named where a metadata or recovery identity is at hand, in text and HTML; the JSON has them sealed.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.`,
		Example: "  farshore report show\n  farshore report show 5f0c2e81a7b3 --format html -o report.html",
		Args:    arguments(0, 1, "at most one ID"),
	}
	cmd.Flags().StringVar(&format, "format", formatText, "`FORM`: text, json or html")
	cmd.Flags().StringVarP(&out, "output", "o", "", "new `FILE` to write to (default: stdout)")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		if format != formatText && format != formatJSON && format != formatHTML {
			return nil, usagef("--format %s is not known", format).with("it is text, json or html")
		}
		if out == "" && format == formatHTML {
			switch {
			case e.flags.json:
				return nil, usagef("--json is what stdout has: the page can't go there too").with("write the page to a file with -o")
			case e.stdoutColumns() > 0:
				return nil, usagef("a page of HTML is nothing for a terminal").with("write it to a file with -o, and open that with a browser")
			}
		}
		id := report.Latest
		if len(args) == 1 {
			id = args[0]
		}
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		return e.showReport(ctx, a, id, format, out)
	})
}

// shownReport is the result of report show.
type shownReport struct {
	reportLine
	// Report is the signed body, as docs/report.schema.json describes it.
	Report json.RawMessage `json:"report"`
	// Names are what it seals, where a key at hand opens them.
	Names *report.Names `json:"names,omitempty"`
	File  string        `json:"file,omitempty"`

	shown []byte
}

func (r *shownReport) text(p *printer) {
	if r.File != "" {
		p.line("%s", r.Line)
		p.line("wrote %s", r.File)
		return
	}
	p.line("%s", strings.TrimRight(string(r.shown), "\n"))
}

// showReport shows a report.
func (e *env) showReport(ctx context.Context, a *access, id, format, out string) (result, error) {
	if out != "" {
		if _, err := os.Lstat(out); !errors.Is(err, os.ErrNotExist) {
			return nil, usagef("%s exists already, or can't be looked at", out).with("name a new file with -o")
		}
	}
	var r *shownReport
	err := e.withVault(ctx, a, func(v *vault.Vault) error {
		shelf, entry, stored, err := findReport(ctx, v, id)
		if err != nil {
			return err
		}
		signed, err := sign.Parse(sign.KindReport, stored)
		if err != nil {
			return err
		}
		r = &shownReport{reportLine: lineOf(entry), Report: signed.JSON, Names: e.namesOf(entry, a)}
		if r.shown, err = e.render(entry, r.Names, shelf, signed.JSON, format); err != nil {
			return err
		}
		if out != "" {
			r.File = out
			return writeNew(out, r.shown)
		}
		return nil
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

// namesOf opens the names that a report seals, where a key at hand does.
func (e *env) namesOf(entry *report.Entry, a *access) *report.Names {
	if entry.Audit == nil || entry.Audit.Sealed == "" || len(a.identities) == 0 {
		return nil
	}
	names, err := entry.Audit.OpenNames(a.identities)
	if err != nil {
		e.warn("items and sources are shown without their names: %v", err)
		return nil
	}
	return names
}

// render writes a report in a format.
func (e *env) render(entry *report.Entry, names *report.Names, shelf *report.Shelf, body []byte, format string) ([]byte, error) {
	var b bytes.Buffer
	switch format {
	case formatJSON:
		b.Write(body)
		b.WriteByte('\n')
		return b.Bytes(), nil
	case formatHTML:
		w := bufio.NewWriter(&b)
		if err := page.HTML(w, page.NewView(entry, names, shelf.Entries)); err != nil {
			return nil, err
		}
		return b.Bytes(), w.Flush()
	}
	return []byte(e.pageText(page.NewView(entry, names, shelf.Entries), page.Text)), nil
}
