// Package config reads, checks, shows and edits farshore's one configuration file.
//
// The file is YAML, and strict: what is not understood is an error, and everything that is wrong is reported at once, each with its line.
// It holds no secret, so that others may read it: credentials come the way each cloud's own tools expect them, the agent's keys lie in
// a directory of their own or come from systemd, and other secrets stand there as where they are (Secret). The file pins the owner's public key
// and the recovery recipients; whoever may change it decides what the agent trusts, so that one which others than root and the user may change
// is refused.
//
// The tables of fields (fields.go and beside each section) say for each key how it is read and what is told of it. Parser, schema and the
// list of keys in messages are made of them, so that they can't differ.
//
// Editing keeps comments, order and layout: a change replaces the bytes that it is about and nothing else, is checked again before it
// takes the old file's place, and never leaves half a file behind.
package config
