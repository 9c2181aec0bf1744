// Package report has what lies below reports/: the bytes of header drills, commitments and audits (docs/format.md, section 8), which reports of a vault count, and how one is
// added. It believes no report that nobody entitled to it signed, takes none that contradicts itself, and never replaces one that is there.
package report
