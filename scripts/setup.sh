#!/bin/sh
# Make .venv ready. Usage: setup.sh demo|dev
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
if ! "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(sh scripts/find_python.sh 3.11)
fi
exec "$python" scripts/bootstrap.py "$1"
