r"""Extend an index by new items, compare two, or try it on items held out.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.index extend RECIPE --store URI [--key value]
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["index", *sys.argv[1:]]))
