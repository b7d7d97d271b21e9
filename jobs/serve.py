r"""Serve a promoted recommender over HTTP on the cluster, until the job is stopped.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.serve --name NAME --store URI --host 0.0.0.0 [--key value]

In Kubernetes a RayService does better: cluster/kuberay-service.yaml.
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
