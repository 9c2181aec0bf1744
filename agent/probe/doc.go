// Package probe tries with the agent's own credential what a thief of it would, and says what it proves.
//
// Everything that destroys is tried on canaries alone: objects that a run has made for it, below <room>/canary/, which every reader of a vault ignores. What
// concerns the bucket as a whole is tried with requests that can't take effect. It may so be run at any time, on a live vault, with any credential.
// Nothing outside this folder may call what deletes, shortens or loosens; a test holds that.
//
// Run is the engine, for every kind of store. An Attacker knows one: they are in s3probe, gcsprobe, rcloneprobe and fileprobe. Guard keeps the
// outcome as a proof between runs of the agent.
package probe
