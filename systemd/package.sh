#!/bin/bash
# Builds the .deb and the .rpm: systemd/package.sh [DIRECTORY]   (default: dist, which git ignores)
#
# It takes Go, and the Go module proxy. Two builds of one commit with one version of Go are the same to the byte.
# FARSHORE_VERSION names the version where no tag of git does, SOURCE_DATE_EPOCH the time, GOARCH another architecture.
set -euo pipefail
umask 022

readonly nfpm_version=v2.45.2 # the newest that needs nothing but what the module proxy serves

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/dist}"
out=$(cd "${1:-$root/dist}" && pwd)
cd "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
exec </dev/null

die() { echo "package.sh: $*" >&2; exit 1; }
command -v go >/dev/null || die "go is missing: install the version that go.mod names, or newer"

# A clone may belong to another user than the one who builds: git then wants to be told that this is meant, here and where Go asks it.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$root

stamp=false
if git -C "$root" rev-parse --verify -q HEAD >/dev/null 2>&1; then
	stamp=true
	: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
fi
[ -n "${SOURCE_DATE_EPOCH-}" ] || die "this is no clone of git: say in SOURCE_DATE_EPOCH when this version was made, in seconds"
export SOURCE_DATE_EPOCH

version() { # a tag v1.2.3 or v1.2.3-rc1 at this commit, else one that sorts before all of them, and by time
	local tag
	if [ -n "${FARSHORE_VERSION-}" ]; then
		echo "$FARSHORE_VERSION"
	elif $stamp && tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null); then
		tag=${tag#v}
		echo "${tag/-/\~}"
	elif $stamp; then
		echo "0.0.0+git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(git rev-parse --short=10 HEAD)"
	else
		die "this is no clone of git: name the version in FARSHORE_VERSION"
	fi
}

build() { # GOOS GOARCH FILE: linked statically, so that it runs wherever the kernel does
	CGO_ENABLED=0 GOOS=$1 GOARCH=$2 GOFLAGS='' go build -trimpath -buildvcs=$stamp -ldflags=-s -o "$3" ./cmd/farshore
}

# What the packages hold, where nfpm.yaml looks for it.
stage() {
	local host=$work/farshore page
	mkdir -p "$work/stage"/{man,completions,units,docs}
	build linux "$FARSHORE_ARCH" "$work/stage/farshore"
	go version -m "$work/stage/farshore" | grep -q 'CGO_ENABLED=0' || die "the program is linked with C"
	if command -v readelf >/dev/null && readelf -l "$work/stage/farshore" | grep -q INTERP; then
		die "the program is not static"
	fi
	# Pages and completions come from a program that runs here.
	if [ "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" = "linux/$FARSHORE_ARCH" ]; then
		host=$work/stage/farshore
	else
		build "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$host"
	fi
	"$host" man -q "$work/stage/man" >/dev/null
	for page in "$work/stage/man"/*.1; do gzip -n -9 "$page"; done
	"$host" completion bash >"$work/stage/completions/farshore"
	"$host" completion zsh >"$work/stage/completions/_farshore"
	"$host" completion fish >"$work/stage/completions/farshore.fish"
	cp systemd/*.service systemd/*.timer systemd/*.conf "$work/stage/units"
	cp README.md testdata/config/good/example.yaml "$work/stage"
	cp docs/* "$work/stage/docs"
	cp -r systemd/package systemd/nfpm.yaml "$work/stage"
	# The times and modes of a clone are anybody's.
	find "$work/stage" -type f -exec chmod 644 {} + -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	chmod 755 "$work/stage/farshore" "$work/stage/package"/*.sh
}

FARSHORE_VERSION=$(version)
FARSHORE_ARCH=${GOARCH:-$(go env GOARCH)}
export FARSHORE_VERSION FARSHORE_ARCH
unset GOARCH
stage
cd "$work/stage"
for packager in deb rpm; do
	GOFLAGS='' go run "github.com/goreleaser/nfpm/v2/cmd/nfpm@$nfpm_version" package --config nfpm.yaml --packager "$packager" --target "$work" >/dev/null
done
for file in "$work"/*.deb "$work"/*.rpm; do
	mv "$file" "$out/"
	echo "$out/${file##*/}"
done
