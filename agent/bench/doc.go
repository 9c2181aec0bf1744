// Package bench measures the whole path, beside the bare primitives over the same bytes in the same run. It has benchmarks only; docs/benchmarks.md
// says how to run them and what they gave.
package bench
