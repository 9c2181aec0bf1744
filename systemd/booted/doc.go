// Package booted holds the packages, the units, install and uninstall to what they promise, on a whole machine: a Debian that systemd boots in a container of its own, with a
// network that leads nowhere. It has tests alone.
//
// They need root, systemd-nspawn, and in FARSHORE_TEST_SYSTEMD_ROOT a root file system, of which they take a copy:
//
//	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,git,subversion,curl bookworm DIRECTORY
//
// A host that can't boot such a container (no root, no cgroups to give away) skips them with the reason: what is tried first has nothing of farshore in it.
package booted
