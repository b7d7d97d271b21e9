"""Pieces of work as trials of Ray Tune: beside one another as resources allow, retried, stopped early by ASHA.

A trial holds one bundle with all that it will ever need and requests nothing of Ray while it runs; so trials cannot
wait for one another. Its logs and Tune's own state are not kept: what a piece achieves lies where it wrote it.
"""

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray import tune
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from unisid.errors import ConfigError
from unisid.runtime.leftovers import Scratch
from unisid.runtime.ray_compute import RayCompute
from unisid.runtime.ray_train import CURABLE
from unisid.runtime.trials import Asha, OnEvent, Share, Work

SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in recipes mean the same in a trial as in the driver
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial reports the watched measure only while it makes it
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # an interrupt ends the search, and everything complete stays
}
WAIT_SETTING = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
"""The seconds that a cluster is given to find cores and GPUs for a trial: the session's own setting."""


class RayTune:
    """Runs pieces on the Ray session of this process.

    Args:
        own: whether the session is this machine's own, which hands out more cores than there are; as many trials run
            as real cores allow. On a cluster Ray decides.
        concurrent: at most so many trials at once.
        max_failures: so many times one trial is started again after its process died.
        release: called before trials start, to free what the session's idle workers hold.
    """

    def __init__(
        self,
        own: bool = True,
        concurrent: int | None = None,
        max_failures: int = 3,
        release: Callable[[], None] | None = None,
    ) -> None:
        if concurrent is not None and concurrent < 1:
            raise ConfigError(f"search: {concurrent} trials at once; must be at least 1")
        self.own, self.concurrent, self.max_failures, self.release = own, concurrent, max_failures, release

    @classmethod
    def beside(cls, compute: RayCompute, concurrent: int | None = None) -> "RayTune":
        """On the session of a compute, whose idle worker group is ended first: trials may need its cores."""
        return cls(compute.own, concurrent, release=compute.close)

    def check(self, share: Share, asha: Asha | None) -> None:
        """On a machine of our own nothing can come that is not there; a cluster may still grow."""
        if self.own and not _fits(share):
            raise ConfigError(_missing(share))

    def run(self, pieces: Sequence[Any], work: Work, share: Share, on_event: OnEvent, asha: Asha | None = None) -> None:
        if self.release is not None:
            self.release()
        os.environ.update({name: os.environ.get(name, value) for name, value in SETTINGS.items()})
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        listener = Listener(on_event, share)
        with Scratch("tune") as folder:
            tuner = tune.Tuner(
                tune.with_resources(tune.with_parameters(perform, pieces=list(pieces), work=work), _request(share)),
                param_space={"number": tune.grid_search(list(range(len(pieces))))},
                tune_config=tune.TuneConfig(scheduler=_scheduler(asha), max_concurrent_trials=self._at_once(share)),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=folder,
                    verbose=0,
                    callbacks=[listener],
                    failure_config=tune.FailureConfig(max_failures=self.max_failures),
                ),
            )
            try:
                tuner.fit()
            except TuneError as error:
                raise listener.trouble or error from None
        if listener.trouble is not None:
            raise listener.trouble

    def _at_once(self, share: Share) -> int | None:
        if self.concurrent is None and self.own:
            return max(1, int((os.cpu_count() or 1) // max(share.cpus, 1e-9)))
        return self.concurrent


def perform(config: Mapping[str, Any], pieces: Sequence[Any], work: Work) -> dict[str, Any]:
    """Run in a trial's process: perform its piece. Errors that a new process may cure go to Tune; the rest is final."""
    try:
        result = work(pieces[config["number"]], lambda values: tune.report(dict(values)))
    except CURABLE as error:
        tune.report({"failing": f"{type(error).__name__}: {error}"})  # Tune may not know it when it says so
        raise
    except Exception as error:
        return {"lost": {"error": "".join(traceback.format_exception(error))}}
    return {"result": dict(result)}


class Listener(tune.Callback):
    """Converts Tune's callbacks into a search's trial events."""

    def __init__(self, on_event: OnEvent, share: Share) -> None:
        self.on_event, self.share = on_event, share
        self.over: set[str] = set()
        self.failing: dict[str, str] = {}
        self.idle_since: float | None = None
        self.trouble: Exception | None = None

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Give up where a cluster has had its time and still has no place for any trial."""
        running = any(trial.status == Trial.RUNNING for trial in trials)
        waiting = any(trial.status == Trial.PENDING for trial in trials)
        if running or not waiting or _fits(self.share):
            self.idle_since = None
            return
        self.idle_since = self.idle_since or time.monotonic()
        if time.monotonic() - self.idle_since > float(os.environ.get(WAIT_SETTING, "180")):
            self._fail(ConfigError(_missing(self.share)))

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._emit(trial, "begun", {})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "result" in result:
            self._over(trial, "done", result["result"])
        elif "lost" in result:
            self._over(trial, "lost", result["lost"])
        elif "failing" in result:
            self.failing[trial.trial_id] = result["failing"]
        elif "value" in result:
            self._emit(trial, "reported", {key: result[key] for key in ("time", "value", "pid")})

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._over(trial, "stopped", {})

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        error = self.failing.get(trial.trial_id) or trial.get_error() or "its process died, perhaps for memory"
        self._over(trial, "lost", {"error": str(error)})

    def _over(self, trial: Trial, kind: Any, payload: Mapping[str, Any]) -> None:
        if trial.trial_id not in self.over:
            self.over.add(trial.trial_id)
            self._emit(trial, kind, payload)

    def _emit(self, trial: Trial, kind: Any, payload: Mapping[str, Any]) -> None:
        try:
            self.on_event(int(trial.config["number"]), kind, payload)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Tune wraps what a callback raises; the driver wants the thing itself."""
        self.trouble = self.trouble or error
        raise error


def _scheduler(asha: Asha | None) -> TrialScheduler:
    if asha is None:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="time",
        metric="value",
        mode="max",
        max_t=asha.longest + 1,  # reaching it would stop a trial short of its end
        grace_period=asha.grace,
        reduction_factor=asha.reduction,
    )


def _request(share: Share) -> dict[str, float]:
    return {"cpu": share.cpus} | ({"gpu": share.gpus} if share.gpus else {})


def _fits(share: Share) -> bool:
    """Whether some node, when idle, has a share."""
    return any(have.get("CPU", 0) >= share.cpus and have.get("GPU", 0) >= share.gpus for have in _nodes())


def _missing(share: Share) -> str:
    best = max(_nodes(), key=lambda have: (have.get("GPU", 0), have.get("CPU", 0)), default={})
    return (
        f"search: a trial needs {share} on one node, the largest of {len(_nodes())} here has "
        f"{best.get('CPU', 0):g} CPUs and {best.get('GPU', 0):g} GPUs; lower the pools of its stages "
        "(such as model.pool.cpus) or attach to a larger cluster (RAY_ADDRESS)"
    )


def _nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
