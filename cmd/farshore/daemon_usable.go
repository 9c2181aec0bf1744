package main

import (
	"errors"

	"farshore/agent/config"
)

// fresh reads the configuration anew, and holds all of it to being usable as far as that can be told without asking anybody: what a daemon takes while it runs it must not
// stumble over later.
func (s *service) fresh() (*config.Config, error) {
	e := s.envOf(s.config(), "reload")
	c, findings, err := config.Check(s.config().Path, s.e.getenv, s.e.now())
	if err != nil {
		return nil, err
	}
	var wrong config.Problems
	for _, f := range findings {
		if f.Severity != config.SeverityNote {
			wrong.List = append(wrong.List, f.Problem)
		}
	}
	if len(wrong.List) > 0 {
		return nil, &wrong
	}
	if c == nil {
		return nil, errors.New("the configuration can't be used: `farshore config check` says why")
	}
	if s.e.flags.state != "" {
		c.State = s.e.flags.state
	}
	_, err = e.sessionOptions(c)
	return c, err
}

// mistakes says at the start what is wrong with a configuration that can be used all the same: one channel that can't be told must not keep all sources from being protected.
func (s *service) mistakes(c *config.Config) {
	_, findings, err := config.Check(c.Path, s.e.getenv, s.e.now())
	if err != nil {
		s.log.Warn("the configuration could not be checked", "error", err)
	}
	for _, f := range findings {
		if f.Severity != config.SeverityNote {
			s.log.Warn("something in the configuration can't be used", "problem", f.Problem.String())
		}
	}
}

// unasked says of a configuration that requires nothing of the agent's credential that nothing is claimed of it either.
func (s *service) unasked(c *config.Config) {
	if c.Require == config.RequireNone && !config.Local(c.Vault) {
		s.log.Warn(waived(c).String())
	}
}
