"""Where Ray, MLflow and HTTP are; how long Ray may take to start, which it reads when it is imported."""

import os

PATIENCE = {
    # a busy machine needs more than half a minute to start a node
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_agent_register_timeout_ms": "180000",
}
"""Environment variables of every process that starts Ray, unless they are set already."""

os.environ.update({name: os.environ.get(name, value) for name, value in PATIENCE.items()})
