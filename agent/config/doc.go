// Package config reads, checks and edits farshore's one configuration file.
//
// The file is YAML, and strict: what is not understood is an error, and everything that is wrong is reported at once, each with its line.
// It holds no secret, so that others may read it: credentials come the way each cloud's own tools expect them, and the agent's keys lie in
// a directory of their own. The file pins the owner's public key and the recovery recipients; whoever may change it decides what the
// agent trusts.
//
// Editing keeps comments, order and layout: a change replaces the bytes that it is about and nothing else, is checked again before it
// takes the old file's place, and never leaves half a file behind.
package config
