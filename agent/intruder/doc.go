// Package intruder plays whoever stole the agent's host: the suite has the store's credential, the configuration, the agent's signing key, the metadata identity, the
// local state, and what the source shows now, and turns all of it against the vault, on real servers, with the stores' own clients. After each attack one function
// holds that every earlier snapshot is restored byte for byte, and that a verification says what happened.
//
// It also breaks stores without a thief, one thing at a time, and holds audits to finding what their level can find, and to claiming no more than they checked.
//
// It holds tests alone. docs/threat-model.md says in plain words what they show, row by row.
package intruder
