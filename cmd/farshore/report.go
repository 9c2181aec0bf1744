package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// reportCommand is the group of commands about the reports in the vault.
func reportCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "List, show and check the verification reports in the vault",
		Long: `List the signed reports in the vault, newest first. Reports are left by verify and drill, signed by an agent, an auditor or the
owner, each in a chain of its own, and can be read without any key; the names of items and sources in them are sealed to the
metadata and recovery keys.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 something is wrong with the reports.`,
		Example: "  farshore report\n  farshore report show --format html -o report.html\n  farshore report check latest",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
	}
	list := reportListCommand(e)
	cmd.AddCommand(list, reportShowCommand(e), reportCheckCommand(e))
	var most int
	cmd.Flags().IntVar(&most, "most", defaultMost, "list at most this `NUMBER` of reports")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) { return e.listReports(ctx, most) })
}

// defaultMost is how many reports are listed where nobody says how many.
const defaultMost = 50

func reportListCommand(e *env) *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the reports, newest first",
		Long:    "List the reports in the vault, newest first, each with its verdict, and the commitments of audits\nthat left no report.\n\nExit codes: 0 done, 1 failed, 2 usage or configuration, 4 something is wrong with the reports.",
		Example: "  farshore report list --most 200",
		Args:    arguments(0, 0, ""),
	}
	cmd.Flags().IntVar(&most, "most", defaultMost, "list at most this `NUMBER` of reports")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) { return e.listReports(ctx, most) })
}

// reportList is the result of report list.
type reportList struct {
	VaultID string `json:"vault_id"`
	// Counted is how many reports there are, commitments aside; Reports are the newest of them.
	Counted int64        `json:"counted"`
	Reports []reportLine `json:"reports"`
	// Abandoned are commitments whose audit left no report: somebody drew, and did not say what came of it. UnderWay are those that are young enough to come.
	Abandoned []abandonedLine `json:"abandoned"`
	Findings  []findingResult `json:"findings"`
}

// reportLine is a report in a line.
type reportLine struct {
	Name   string `json:"name"`
	Hash   string `json:"hash"`
	Time   string `json:"time"`
	Kind   string `json:"kind"`
	Signer string `json:"signer"`
	Role   string `json:"role"`
	// Verdict is an audit's; Line says what came of it.
	Verdict string `json:"verdict,omitempty"`
	Line    string `json:"line"`
}

// abandonedLine is a commitment without a report.
type abandonedLine struct {
	Name     string `json:"name"`
	Time     string `json:"time"`
	Signer   string `json:"signer"`
	Role     string `json:"role"`
	UnderWay bool   `json:"under_way"`
}

func (r *reportList) text(p *printer) {
	if len(r.Reports) == 0 {
		p.line("no reports yet: `farshore verify` leaves one")
	}
	for _, l := range r.Reports {
		p.line("%s  %s  %-7s  %s", toTheSecond(l.Time), brief(l.Hash), l.Role, l.Line)
	}
	if more := r.Counted - int64(len(r.Reports)); more > 0 {
		p.line("%s not listed: --most NUMBER lists more", plural(more, "more report"))
	}
	for _, a := range r.Abandoned {
		if a.UnderWay {
			p.line("%s  %s by the %s (key %s): under way, or stopped; its report may still come", toTheSecond(a.Time), a.Name, a.Role, a.Signer)
			continue
		}
		p.line("%s  %s by the %s (key %s): ABANDONED: an audit drew its sample, and left no report", toTheSecond(a.Time), a.Name, a.Role, a.Signer)
	}
	printFindings(p, r.Findings)
}

// listReports lists the reports.
func (e *env) listReports(ctx context.Context, most int) (result, error) {
	if most < 1 {
		return nil, usagef("--most is 1 or more")
	}
	a, err := e.access()
	if err != nil {
		return nil, err
	}
	var r *reportList
	err = e.withVault(ctx, a, func(v *vault.Vault) error {
		shelf, err := report.Read(ctx, v)
		if err != nil {
			return err
		}
		r = listOf(v, shelf, most, e.now())
		return alarming(r.Findings)
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

func listOf(v *vault.Vault, shelf *report.Shelf, most int, now time.Time) *reportList {
	r := &reportList{VaultID: v.ID(), Counted: shelf.Counted, Reports: []reportLine{}, Abandoned: []abandonedLine{}, Findings: findingsOf(shelf.Findings)}
	for _, entry := range shelf.Entries {
		if entry.Commitment != nil {
			r.Counted-- // it is listed with its report, or as abandoned
			continue
		}
		if len(r.Reports) < most {
			r.Reports = append(r.Reports, lineOf(entry))
		}
	}
	for _, entry := range shelf.Abandoned {
		r.Abandoned = append(r.Abandoned, abandonedLine{entry.Name, record.FormatTime(entry.Time), entry.Signer, entry.Role, entry.UnderWay(now)})
	}
	return r
}

func lineOf(entry *report.Entry) reportLine {
	l := reportLine{Name: entry.Name, Hash: entry.Hash.String(), Time: record.FormatTime(entry.Time), Kind: entry.Kind, Signer: entry.Signer, Role: entry.Role}
	switch {
	case entry.Audit != nil:
		l.Verdict, l.Line = entry.Audit.Verdict, entry.Audit.Line()
	case entry.Drill != nil:
		d := entry.Drill
		l.Line = fmt.Sprintf("header drill: the recovery key opened %s of %s drawn", formatCount(d.Opened), plural(d.Drawn, "header"))
	default:
		l.Line = "of type " + printable(entry.Kind) + ", which this program does not know"
	}
	return l
}

// findReport reads the shelf and finds a report on it, whole, with its stored bytes.
func findReport(ctx context.Context, v *vault.Vault, id string) (*report.Shelf, *report.Entry, []byte, error) {
	shelf, err := report.Read(ctx, v)
	if err != nil {
		return nil, nil, nil, err
	}
	entry, err := report.Find(shelf, id)
	if errors.Is(err, report.ErrNoReport) {
		return nil, nil, nil, usagef("%w", err).with("`farshore report` lists them")
	}
	if err != nil {
		return nil, nil, nil, usagef("%w", err)
	}
	whole, stored, err := report.Load(ctx, v, entry)
	return shelf, whole, stored, err
}
