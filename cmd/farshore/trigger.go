package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/daemon"
	"farshore/agent/daemon/control"
	"farshore/agent/daemon/history"
)

func triggerCommand(e *env) *cobra.Command {
	var socket string
	var verify, probe, wait bool
	var accept int64
	cmd := &cobra.Command{
		Use:   "trigger [SOURCE...]",
		Short: "Have the daemon make a pass now",
		Long: `Have the daemon make a pass over the sources now, before what is due by schedule, or with --verify or --probe an audit or a probe. One
that is under way already is not begun a second time. The schedule stays as it is.

With --accept-change N the pass over the one SOURCE accepts what its suspicious snapshot N shows, as
` + "`farshore replicate --accept-change`" + ` does.

With --wait it waits until all have ended, and ends as the worst of them did; without, once they are taken.

Exit codes: 0 done, 1 failed, or no daemon runs, 2 usage or configuration, 3 finished but incomplete or not provable, 4 damage, tampering or a destructive
permission, 130 interrupted.`,
		Example: "  farshore trigger shop\n  farshore trigger shop code --wait\n  farshore trigger --verify",
		Args:    arguments(0, -1, "names of sources"),
	}
	addSocketFlag(cmd, &socket)
	cmd.Flags().BoolVar(&verify, "verify", false, "an audit")
	cmd.Flags().BoolVar(&probe, "probe", false, "a probe")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it has ended")
	cmd.Flags().Int64Var(&accept, "accept-change", 0, "accept what snapshot `N` of the one SOURCE shows, though it is suspicious")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		if cmd.Flags().Changed("accept-change") && (len(args) != 1 || accept < 1 || verify || probe) {
			return nil, usagef("--accept-change takes the number of a suspicious snapshot, of one SOURCE").with("`farshore snapshots` lists the snapshots with their marks")
		}
		var jobs []string
		for _, name := range args {
			jobs = append(jobs, passJob(name))
		}
		if verify {
			jobs = append(jobs, verifyJob)
		}
		if probe {
			jobs = append(jobs, probeJob)
		}
		if len(jobs) == 0 {
			return nil, usagef("trigger needs a SOURCE, --verify or --probe").with("`farshore status` lists the sources")
		}
		client, err := e.controlClient(socket)
		if err != nil {
			return nil, err
		}
		return e.trigger(ctx, client, jobs, accept, wait)
	})
}

// triggered is the result of trigger.
type triggered struct {
	Jobs []triggeredJob `json:"jobs"`
}

// triggeredJob is what came of one job.
type triggeredJob struct {
	Job string `json:"job"`
	// Waiting says that others have to end before.
	Waiting bool `json:"waiting,omitempty"`
	// Since is when it began, where it was under way already.
	Since *time.Time `json:"running_since,omitempty"`
	// Run is how it ended, with --wait.
	Run *history.Run `json:"run,omitempty"`
}

func (r triggered) text(p *printer) {
	for _, j := range r.Jobs {
		switch {
		case j.Run != nil:
			p.line("%s: %s, took %s", j.Job, lastWord(j.Run), formatDuration(j.Run.Ended.Sub(j.Run.Started)))
		case j.Since != nil:
			p.line("%s: under way since %s: it is not begun a second time", j.Job, j.Since.UTC().Format(time.RFC3339))
		case j.Waiting:
			p.line("%s: waits for another to end: it is the next (`parallel` in the configuration)", j.Job)
		default:
			p.line("%s: begun, `farshore status` says how far it is", j.Job)
		}
	}
}

// trigger has the jobs run, and waits for them where that is wanted.
func (e *env) trigger(ctx context.Context, client *control.Client, jobs []string, accept int64, wait bool) (result, error) {
	r := triggered{Jobs: []triggeredJob{}}
	if err := allThere(ctx, client, jobs); err != nil {
		return nil, err
	}
	begun := map[string]time.Time{}
	for _, job := range jobs {
		one, at, err := triggerOne(ctx, client, job, accept)
		if err != nil {
			return r, controlFailure(err)
		}
		begun[job] = at
		r.Jobs = append(r.Jobs, one)
	}
	if !wait {
		return r, nil
	}
	var failed []error
	for i := range r.Jobs {
		run, err := client.Await(ctx, r.Jobs[i].Job, begun[r.Jobs[i].Job])
		if err != nil {
			return r, errors.Join(append(failed, controlFailure(err))...)
		}
		r.Jobs[i].Run = &run
		if err := failureOf(&run); err != nil {
			failed = append(failed, err)
		}
	}
	return r, worst(failed)
}

// allThere holds all jobs to be the daemon's before any of them is triggered.
func allThere(ctx context.Context, client *control.Client, jobs []string) error {
	st, err := client.Status(ctx)
	if err != nil {
		return controlFailure(err)
	}
	for _, job := range jobs {
		source, pass := strings.CutPrefix(job, passJob(""))
		switch {
		case pass:
			_, err = findStatus(&st, source)
		case job == probeJob && st.Probe == nil:
			err = usagef("the daemon does not probe: its configuration requires nothing of the agent's credential (require: none)").with("`farshore probe` does")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// triggerOne triggers a job, and says from when on the run began that is to be awaited. One that is under way is awaited in its place, unless it was to accept a change.
func triggerOne(ctx context.Context, client *control.Client, job string, accept int64) (triggeredJob, time.Time, error) {
	for try := 0; ; try++ {
		t, err := client.Trigger(ctx, job, accept)
		if !errors.Is(err, daemon.ErrRunning) || accept != 0 || try == maxTriggers {
			return triggeredJob{Job: job, Waiting: t.Waiting}, t.At, err
		}
		since, err := runningSince(ctx, client, job)
		if err != nil || !since.IsZero() {
			return triggeredJob{Job: job, Since: &since}, since, err
		}
		// It ended meanwhile.
	}
}

// maxTriggers bounds how often a job is triggered that ended just when it was asked for.
const maxTriggers = 5

// runningSince is when the run of a job that is under way began; zero where none is.
func runningSince(ctx context.Context, client *control.Client, job string) (time.Time, error) {
	st, err := client.Status(ctx)
	if err != nil {
		return time.Time{}, err
	}
	jobs := []*daemon.JobStatus{st.Probe, st.Verify}
	for i := range st.Sources {
		jobs = append(jobs, &st.Sources[i].JobStatus)
	}
	for _, j := range jobs {
		if j != nil && j.Job == job && j.Running != nil {
			return j.Running.Since, nil
		}
	}
	return time.Time{}, nil
}

// failureOf is the failure that a run ended with, or nil.
func failureOf(r *history.Run) error {
	if r.Exit == exitDone {
		return nil
	}
	text, hint := r.Text, r.Hint
	if r.Stopped {
		text, hint = "the daemon was stopped before it ended", "what it committed is kept, and it goes on at the daemon's next start"
	}
	if r.Kind != history.KindPass || r.Stopped {
		text = r.Job + ": " + text
	}
	return &failure{exit: r.Exit, code: r.Code, err: errors.New(text), hint: hint}
}
