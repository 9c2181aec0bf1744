package main

import (
	"context"
	"fmt"
	"math"

	"farshore/agent/audit"
	"farshore/agent/config"
	"farshore/agent/vault"
)

// planResult is the result of verify --dry-run.
type planResult struct {
	VaultID string `json:"vault_id"`
	*audit.Estimate
	// Cost is what a run costs at the vault's store; nil where its prices are not known.
	Cost *cost `json:"cost,omitempty"`
	// PromiseCosts are what it costs to verify everything within so many days.
	PromiseCosts []promiseCost `json:"promise_costs"`
}

// promiseCost is what a promise of coverage takes and costs.
type promiseCost struct {
	Days     int64 `json:"days"`
	DayBytes int64 `json:"day_bytes"`
	// Day and Month are US dollars; absent where the store's prices are not known.
	Day   *float64 `json:"usd_per_day,omitempty"`
	Month *float64 `json:"usd_per_month,omitempty"`
}

// daysOfMonth is a month's length, on average.
const daysOfMonth = 30.44

// promiseCosts prices what promises read in a day. Requests are not counted: they are a thousandth of it with packs of 32 MiB.
func promiseCosts(address string, promises []audit.Promise) []promiseCost {
	price, known := priceOf(address)
	out := []promiseCost{}
	for _, p := range promises {
		c := promiseCost{Days: p.Days, DayBytes: p.DayBytes}
		if known {
			day := costOf(price, demand{Egress: p.DayBytes}).Transfer
			month := day * daysOfMonth
			c.Day, c.Month = &day, &month
		}
		out = append(out, c)
	}
	return out
}

// String says it in a line.
func (c promiseCost) String() string {
	s := fmt.Sprintf("everything within %d days: %s a day", c.Days, formatBytes(c.DayBytes))
	if c.Day != nil {
		s += fmt.Sprintf(", %s a day or %s a month of egress", dollars(*c.Day), dollars(*c.Month))
	}
	return s
}

// toldDays is the promise whose cost is told where nobody asked for one.
const toldDays = 90

// perStored is how much runs read for each stored byte that they are to verify within a promise: 70 % of a run's bytes go to what was longest ago verified, and runs are reckoned to
// come a tenth late, as package draw has it.
const perStored = 1.1 / 0.7

// promiseOf is what it takes to verify so many stored bytes within toldDays.
func promiseOf(address string, stored int64) promiseCost {
	perDay := int64(math.Ceil(float64(stored) * perStored / toldDays))
	return promiseCosts(address, []audit.Promise{{Days: toldDays, DayBytes: perDay}})[0]
}

func (r *planResult) text(p *printer) {
	n := r.Population
	p.line("vault %s", r.VaultID)
	p.line("  %s (%s) and %s (%s), named by %s", plural(n.Packs, "pack"), formatBytes(n.PackBytes), plural(n.Pages, "page"), formatBytes(n.PageBytes), plural(n.Commits, "commit"))
	p.line("  a run would read %s (%s), with %s requests to open, %s to list and %s to know what is stored", plural(r.Objects, "object"), formatBytes(r.Bytes), formatCount(r.Opens), formatCount(r.Lists), formatCount(r.Commits))
	if r.ItemBytes > 0 {
		p.line("  and restore up to %s of items", formatBytes(r.ItemBytes))
	}
	c := r.Coverage
	p.line("  verified so far: %s of %s; never: %s", formatCount(c.Verified), formatCount(c.Verified+c.Never), plural(c.Never, "object"))
	if r.Cost != nil {
		p.line("  that costs %s, of which %s are egress, at %s's prices of %s%s", dollars(r.Cost.Requests+r.Cost.Transfer), dollars(r.Cost.Transfer), r.Cost.Store, r.Cost.Date, bracketed(r.Cost.Note))
	} else {
		p.line("  what that costs is not known: the prices of this store are not known")
	}
	for i, promise := range r.PromiseCosts {
		kept := ""
		if r.Promises[i].Asked {
			kept = " (promised; this budget keeps it)"
			if !r.Promises[i].Feasible {
				kept = fmt.Sprintf(" (promised; this budget can NOT keep it: a run needs %s)", formatBytes(r.Promises[i].RunBytes))
			}
		}
		p.line("  %s%s", promise, kept)
	}
	p.line("egress is often free within the store's own cloud and region: docs/operate.md shows how to run the verifier there")
}

// promiseNote says that nothing is promised by default, and what a promise costs.
func promiseNote(address string) string {
	const tb = 1_000_000_000_000
	note := "There is no promise yet of how soon everything stored is verified"
	if c := promiseOf(address, tb); c.Month != nil {
		note += fmt.Sprintf(": within %d days, each TB that is stored costs %s a month of egress", c.Days, dollars(*c.Month))
	} else if !config.Local(address) {
		note += ": reading costs egress"
	}
	return note + ".\nOnce something is stored, `farshore verify --dry-run` says what a promise takes (verify.coverage in the configuration)."
}

// runCost prices a run; nil where the store's prices are not known.
func runCost(address string, est *audit.Estimate) *cost {
	price, known := priceOf(address)
	if !known {
		return nil
	}
	c := costOf(price, demand{Gets: est.Opens + est.Commits, Puts: est.Lists, Egress: est.Bytes + est.ItemBytes})
	return &c
}

// bracketed is a note behind something.
func bracketed(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

// runVerifyPlan says what a run would read.
func runVerifyPlan(ctx context.Context, e *env, o verifyOptions) (result, error) {
	if err := o.scratchThere(); err != nil {
		return nil, err
	}
	var r *planResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		chains, err := e.known(ctx, v, o.source)
		if err != nil {
			return err
		}
		if err := e.refuse(v, chains, o.source); err != nil {
			return err
		}
		bar := e.follow("verify", nil)
		defer bar.Done()
		est, err := audit.Plan(ctx, v, e.auditOptions(ctx, o, o.access.recovers(v)))
		if err != nil {
			return err
		}
		r = &planResult{VaultID: v.ID(), Estimate: est, PromiseCosts: promiseCosts(o.access.url, est.Promises)}
		r.Cost = runCost(o.access.url, est)
		return nil
	})
	if r == nil {
		return nil, err
	}
	return r, err
}
