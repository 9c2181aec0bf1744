#!/bin/sh
# After installing or upgrading: users, directories, and the new units. Nothing is started that was not running: without a configuration there is nothing to start.
# dpkg says "configure" and, on an upgrade, the version before; rpm says how many versions there are now.
set -e

case "$1" in
configure) upgrade=${2:+yes} ;;
1) upgrade= ;;
[2-9]*) upgrade=yes ;;
*) exit 0 ;; # dpkg takes back a step that failed
esac

systemd-sysusers farshore.conf
systemd-tmpfiles --create farshore.conf

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if [ -n "$upgrade" ]; then
		# What is running commits what is whole, ends, and goes on from there.
		systemctl try-restart farshore.service farshore-verify.timer ||
			echo "farshore: the service did not come up again: systemctl status farshore.service" >&2
	fi
fi
if [ -z "$upgrade" ] && [ ! -e /etc/farshore/farshore.yaml ]; then
	echo "farshore is installed, and does nothing yet: \`farshore install\` says what is next; /usr/share/doc/farshore/README.md has the whole way."
fi
