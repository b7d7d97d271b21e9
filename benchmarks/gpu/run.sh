#!/bin/sh
# Runs the accelerator's checks and timings out of the folder that `make gpu-kit` makes: sh run.sh [RESULTS] [ARGUMENTS ...]
# PACKAGES: a folder with what the wheels hold, where they are installed already. PYTHON: the interpreter, python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/results"}
[ $# -gt 0 ] && shift
python=${PYTHON:-python3}
packages=${PACKAGES:-}
if [ -z "$packages" ]; then
	made_for=$(cat "$here/python")
	this=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	if [ "$made_for" != "$this" ]; then
		echo "gpu-kit: the wheels are of Python $made_for, this is $this; needed is one of make gpu-kit KIT_PYTHON=$this" >&2
		exit 1
	fi
	packages=$(mktemp -d)
	$python -m pip install --quiet --no-index --no-deps --target "$packages" "$here"/wheels/*.whl
fi
cd "$here"
PYTHONPATH="$here:$here/platform:$packages" exec $python -m benchmarks.gpu --out "$out" "$@"
