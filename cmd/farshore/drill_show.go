package main

import (
	"context"
	"fmt"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// drillRecord is the newest header drill that is on record in the vault.
type drillRecord struct {
	// Report is the name of the object.
	Report string `json:"report"`
	Time   string `json:"time"`
	// Signer is the id of the key that signed it, Role what entitles it: owner or auditor.
	Signer     string `json:"signer"`
	Role       string `json:"role"`
	Population int64  `json:"population"`
	Drawn      int64  `json:"drawn"`
	Opened     int64  `json:"opened"`
	Failed     int64  `json:"failed"`
	Unread     int64  `json:"unread"`
	// Findings is how many things it found wrong.
	Findings int64 `json:"findings"`
}

// reported is what the vault's reports say, for commands that show it. Drill is nil where none is on record, and Unknown says why it is not known.
type reported struct {
	Drill   *drillRecord `json:"header_drill"`
	Unknown string       `json:"header_drill_unknown,omitempty"`
}

// reports reads the vault's reports. What does not count is a finding. That they can't be read at all is said, and is no reason to end.
func (e *env) reports(ctx context.Context, v *vault.Vault) (reported, []findingResult) {
	shelf, err := report.Read(ctx, v)
	if err != nil {
		return reported{Unknown: err.Error()}, nil
	}
	r := reported{}
	if shelf.Drill != nil {
		r.Drill = recordOf(shelf.Drill)
	}
	return r, findingsOf(shelf.Findings)
}

func recordOf(r *report.Entry) *drillRecord {
	d := r.Drill
	return &drillRecord{
		Report: r.Name, Time: record.FormatTime(d.Time), Signer: r.Signer, Role: r.Role, Population: d.Population, Drawn: d.Drawn,
		Opened: d.Opened, Failed: d.Failed, Unread: d.Unread, Findings: int64(len(d.Findings)) + d.Omitted,
	}
}

// line says when the recovery key was last tried, how, and by whom.
func (r reported) line() string {
	d := r.Drill
	switch {
	case r.Unknown != "":
		return "header drill: the reports could not be read: " + lines(r.Unknown)
	case d == nil:
		return "header drill: none on record: that the recovery key opens the packs is not proved (`farshore drill header`)"
	}
	text := fmt.Sprintf("header drill of %s by the %s (key %s): the recovery key opened %s of %s drawn", toTheSecond(d.Time), d.Role, d.Signer, formatCount(d.Opened), plural(d.Drawn, "header"))
	if d.Failed > 0 {
		text += fmt.Sprintf(", %s FAILED", formatCount(d.Failed))
	}
	if d.Unread > 0 {
		text += fmt.Sprintf(", %s could not be read", formatCount(d.Unread))
	}
	if d.Findings > d.Failed+d.Unread {
		text += fmt.Sprintf("; %s", plural(d.Findings, "finding"))
	}
	return text + fmt.Sprintf("; %s in the vault then", plural(d.Population, "pack"))
}
