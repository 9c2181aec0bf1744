#!/bin/sh
# After removing. `dpkg --purge` takes the local state, too, which a new agent builds up again from the vault. Keys, configuration and credentials in /etc/farshore and
# /etc/farshore-verify are never removed by a package: without its keys an agent can't go on with its chains.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/farshore /var/lib/farshore-verify
	for dir in /etc/farshore /etc/farshore-verify; do
		if [ -d "$dir" ]; then
			echo "farshore: $dir is kept, with the keys in it: remove it yourself when no agent is to go on with them."
		fi
	done
fi
