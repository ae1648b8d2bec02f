#!/bin/sh
# Builds the payment service of this folder, or finds it built, and prints the binary's path.
# The build is kept outside the checkout under a hash of the sources. Exit codes: 3 no usable Go, 4 modules out of reach,
# 5 the sources do not compile.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "build.sh: $*" >&2; }

if [ -n "${FINCHAOS_CACHE:-}" ]; then cache=$FINCHAOS_CACHE/foreign
elif [ "$(id -u)" = 0 ]; then cache=/var/cache/finchaos/foreign
else cache=${XDG_CACHE_HOME:-$HOME/.cache}/finchaos/foreign
fi
cd "$here/service"
sources=$(for file in *.go go.mod go.sum; do case $file in *_test.go) ;; *) echo "$file" ;; esac; done)
# shellcheck disable=SC2086  # a list of file names without blanks
key=$(cat "$here/build.sh" $sources | sha256sum | cut -c1-12)
binary=$cache/remit-$key
if [ -x "$binary" ]; then echo "$binary"; exit 0; fi

if ! command -v go >/dev/null; then
    say "no Go compiler on PATH, and $binary is not built yet; install Go 1.25 or newer"
    exit 3
fi
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0
if ! version=$(go list -m 2>&1); then
    say "$(go version) cannot read service/go.mod: $version; install Go 1.25 or newer"
    exit 3
fi
mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9                                   # parallel callers build once
if [ -x "$binary" ]; then echo "$binary"; exit 0; fi
say "building remit-$key (one to two minutes the first time)"
if ! fetched=$(timeout 120 go mod download 2>&1); then
    say "the Go modules are neither in the module cache nor within reach: $fetched"
    exit 4
fi
if ! go build -trimpath -buildvcs=false -ldflags "-s -w -X main.source=$key" -o "$binary.$$" . >&2; then
    say "the sources do not compile"
    exit 5
fi
mv "$binary.$$" "$binary"                 # whole or not there
echo "$binary"
