#!/bin/sh
# Before removing, not before an upgrade: the units are stopped and disabled. dpkg says "remove", rpm 0.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl --quiet disable --now farshore.service farshore-verify.timer
	systemctl stop farshore-verify.service 'farshore-alert@*.service'
fi
