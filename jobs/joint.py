r"""Train a recipe's tokenizer and its recommender together, and whatever of their inputs is still missing.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.joint RECIPE --store URI [--key value]
"""

from jobs import run

if __name__ == "__main__":
    run(until="joint")
