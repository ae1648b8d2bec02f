#!/bin/sh
# Installs the npm package http-server, or finds it installed, and prints the script to run with node.
# It is kept outside the checkout under a hash of the lock file. Exit codes: 3 no Node, 4 the package is out of reach.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "install.sh: $*" >&2; }

if [ -n "${FINCHAOS_CACHE:-}" ]; then cache=$FINCHAOS_CACHE/foreign
elif [ "$(id -u)" = 0 ]; then cache=/var/cache/finchaos/foreign
else cache=${XDG_CACHE_HOME:-$HOME/.cache}/finchaos/foreign
fi
key=$(cat "$here/install.sh" "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-12)
folder=$cache/third-$key
script=$folder/node_modules/http-server/bin/http-server
if ! command -v node >/dev/null; then say "no node on PATH; install Node 18 or newer"; exit 3; fi
if [ -f "$script" ]; then echo "$script"; exit 0; fi
if ! command -v npm >/dev/null; then say "no npm on PATH, and $folder is not installed yet"; exit 3; fi
mkdir -p "$cache"
exec 9>"$cache/third.lock"
flock 9                                   # parallel callers install once
if [ -f "$script" ]; then echo "$script"; exit 0; fi
fresh=$folder.$$
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh"
cp "$here/package.json" "$here/package-lock.json" "$fresh/"
if ! said=$(cd "$fresh" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund 2>&1); then
    say "the npm package is neither in npm's cache nor within reach: $said"
    exit 4
fi
rm -rf "$folder"
mv "$fresh" "$folder"                     # whole or not there
echo "$script"
