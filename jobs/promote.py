r"""Put an index, a recommender or both into use, or what was in use before back (MLflow's alias `champion`).

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.promote codes/NAME/VERSION model/NAME/VERSION --store URI
ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.promote --rollback NAME --store URI
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["promote", *sys.argv[1:]]))
