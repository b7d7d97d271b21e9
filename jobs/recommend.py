r"""Recommend to everybody, into Parquet files; a job that was stopped goes on when it is submitted again.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.recommend --all --out URI --workers 8 --store URI
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["recommend", *sys.argv[1:]]))
