package web

// MaxConnections is for tests.
const MaxConnections = maxConnections
