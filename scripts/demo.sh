#!/bin/sh
# The demo suite on the reference payment system, from nothing. Further arguments go to pytest, whose exit code is kept.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh demo
status=0
.venv/bin/pytest experiments/ "$@" || status=$?
if [ -f reports/latest/report.html ]; then
    echo "report: $(pwd)/reports/latest/report.html"
else
    echo "no report was written: no drill ran" >&2
fi
exit "$status"
