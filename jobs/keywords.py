r"""Make a recipe's keywords, and whatever of its inputs is still missing.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.keywords RECIPE --store URI [--key value]
"""

from jobs import run

if __name__ == "__main__":
    run(until="keywords")
