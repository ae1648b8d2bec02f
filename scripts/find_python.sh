#!/bin/sh
# Print the path of a Python that the caller can really run, at least MINIMUM (default 3.11).
# Usage: find_python.sh [MINIMUM]      PYTHON=/path names one outright.
# Looks along the whole PATH, not at its first hit only: a pyenv shim can exist, be executable, and fail.
minimum=${1:-3.11}
major=${minimum%%.*}
minor=${minimum#*.}

# Prints the interpreter's own path when it runs and is new enough; a shim thereby becomes what it stands for.
# With a second argument, these modules must be there too.
probe() {
    "$1" -I -c "import sys${2:+, $2}; sys.exit(1) if sys.version_info < ($major, $minor) else print(sys.executable)" \
        2>/dev/null </dev/null
}

if [ -n "${PYTHON:-}" ]; then
    probe "$PYTHON" && exit 0
    echo "PYTHON=$PYTHON: does not run, or is older than $minimum" >&2
    echo "  next: name an interpreter that \"\$PYTHON --version\" answers for, or unset PYTHON" >&2
    exit 2
fi

# The oldest supported version first: what is developed against should be what is used.
names=""
for candidate in 11 12 13 14; do
    [ "$candidate" -ge "$minor" ] && names="$names python3.$candidate"
done
names="$names python3"

folders=$(printf '%s' "${PATH:-/usr/bin:/bin}" | tr ':' '\n')
for versions in "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}/versions" "${HOME:-/nonexistent}/.pyenv/versions"; do
    for folder in "$versions"/*/bin; do
        [ -d "$folder" ] && folders="$folders
$folder"
    done
done
folders="$folders
/usr/local/bin
/usr/bin"

# Twice: first one that can make a virtual environment by itself (Debian splits that off), then any.
tried=""
old_ifs=$IFS
for modules in "venv, ensurepip" ""; do
    for name in $names; do
        IFS='
'
        for folder in $folders; do
            IFS=$old_ifs
            [ -x "$folder/$name" ] || continue
            probe "$folder/$name" "$modules" && exit 0
            [ -n "$modules" ] || tried="$tried $folder/$name"
        done
        IFS=$old_ifs
    done
done

echo "no Python $minimum or newer that runs for $(id -un 2>/dev/null || id -u)" >&2
[ -n "$tried" ] && echo "  found, but failing or older:$tried" >&2
echo "  next: apt-get install python3 python3-venv, or name one: make demo PYTHON=/path/to/python3.11" >&2
exit 2
