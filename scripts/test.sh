#!/bin/sh
# The project's tests, from nothing. Further arguments go to pytest (default: tests/), whose exit code is kept.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh dev
# Tests marked real_toxiproxy run where one is found or can be built, and skip with a reason elsewhere.
FINCHAOS_TEST_TOXIPROXY_SERVER=$(.venv/bin/python scripts/toxiproxy_server.py) || FINCHAOS_TEST_TOXIPROXY_SERVER=
export FINCHAOS_TEST_TOXIPROXY_SERVER
# Two workers: most of the time is waiting. Drills are measured one at a time all the same, by the host lease.
[ "$#" -gt 0 ] || set -- tests/ -n 2 --dist loadfile
exec .venv/bin/pytest "$@"
