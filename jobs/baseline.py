r"""Make a recipe's baseline, and whatever of its inputs is still missing.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.baseline RECIPE --store URI [--key value]
"""

from jobs import run

if __name__ == "__main__":
    run(until="baseline")
