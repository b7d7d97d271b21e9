r"""Take in a day's new items and interactions; a job that was stopped goes on when it is submitted again.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.update RECIPE --items URI --interactions URI --store URI [--key value]

In Kubernetes, every night: cluster/kuberay-cronjob.yaml.
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["update", *sys.argv[1:]]))
