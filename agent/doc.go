// Package agent replicates a source into a vault. It is the house's hallway; the rooms are
//
//	source/    what is protected: items in order, captured as records; bucket/ for S3, git/ and svn/ for repositories, sourcetest/ the conformance suite
//	repo/      what capture and restore of repositories share, without a store: refs/, gitpack/ and svndump/ are codecs, process/, gitcmd/ and svncmd/ run the
//	           programs such that no repository decides what is executed; tempdir/ has their temporary folders; gittest/, gitserver/ and svntest/ are for tests
//	chunk/     content-defined cutting of bytes
//	pack/      the bytes of packs and pages: frames, padding, seek table
//	record/    the bytes of records, segments, roots, tables, lists, statements and commits; jsontext/ has what all codecs of JSON lines share
//	vault/     where codec, key and place meet: create, begin, append, commit, open, read
//	restore/   items out of a snapshot into a directory or a bucket; gitrepo/ and svnrepo/ make repositories, repos/ those of a snapshot
//	verify/    what is stored against what it should be: all of it. census/ says what should be stored, and holds a listing against it;
//	           bound/ is the arithmetic of sampling, draw/ decides what an audit reads, and keeps the ledger of what was verified when;
//	           items/ draws items and restores them; repos/ restores repositories in a scratch place and has them
//	           checked by their own programs; live/ asks a source whether it still has what was captured; impact/ says what damage means
//	audit/     a verification run within a budget, from the commitment that binds its draw to the signed report; and whether another's report can be drawn again
//	probe/     what a thief of the agent's credential would do to the vault, tried on canaries alone: the engine and the proof; s3probe/, gcsprobe/,
//	           rcloneprobe/ and fileprobe/ try, and nothing else in the house can
//	tripwire/  whether a pass's change to its source looks like an attack; pure
//	policy/    what each store should allow each role, as documents for it
//	drill/     whether the recovery key opens what is stored: headers alone
//	report/    the bytes of what is stored below reports/; page/ shows an audit to people, as text and as one page of HTML
//	config/    the configuration file
//	daemon/    does what a configuration says again and again: decides what is due, and knows what it does. schedule/ says when, history/ keeps what runs came to,
//	           control/ is how commands on the same machine ask it, web/ shows it to people and to Prometheus, supervisor/ tells systemd how it is. What a run does is cmd's
//	notify/    tells people and their services what came of a pass or an audit; metrics/ leaves numbers for a monitoring system
//	plot/      the arithmetic of what pages draw
//	units/     how numbers, durations and paths are written for people
//	internal/state/  the local, disposable cache and its lock: Open opens it, vault writes with it, and nobody else has it
//	sidefile/  small files beside the local state that several runs read and replace
//	internal/small/  a source of short texts, for tests
//	internal/vast/   a vault of any number of packs, made up for tests
//	bench/     benchmarks of the whole path
//
// Beside agent: cmd/farshore puts all of it together; providers/ are the stores, crypto/ the keys; systemd/ has the units and packages, systemd/setup what install and uninstall do,
// systemd/booted tests both on a booted systemd.
//
// Direction: cmd → agent/daemon; cmd → agent → {source, chunk, vault}; vault → {pack, record, chunk, internal/state, crypto, providers}. providers and crypto
// import nothing of agent's, chunk, pack and record never see a store, vault never sees a source, and a cloud's package is named only in
// cmd and in the drivers, sources and targets that are made of it. deps_test.go holds this.
package agent
