r"""Run a whole recipe.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.pipeline RECIPE --store URI [--key value]
"""

from jobs import run

if __name__ == "__main__":
    run(until="metrics")
