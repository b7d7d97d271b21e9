#!/bin/sh
# Runs the accelerator's checks and timings out of the folder that `make gpu-kit` makes: sh run.sh [RESULTS] [ARGUMENTS ...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/results"}
[ $# -gt 0 ] && shift
packages=$(mktemp -d)
python3 -m pip install --quiet --no-index --no-deps --target "$packages" "$here"/wheels/*.whl
cd "$here"
PYTHONPATH="$here:$here/platform:$packages" exec python3 -m benchmarks.gpu --out "$out" "$@"
