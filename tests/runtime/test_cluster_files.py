"""What lies in cluster/ is what the tools behind it take, and says what the rest of the repository says."""

import json
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from unisid import __version__, recipes
from unisid.cli.commands import parse
from unisid.compute import Pool
from unisid.runtime import ray_serve

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
MANIFESTS = sorted(CLUSTER.glob("*.yaml"))
DOCKERFILES = sorted(path for path in CLUSTER.glob("Dockerfile*") if path.suffix != ".dockerignore")
KUBERNETES = "1.34"
KUBERAY = ["kuberay-cluster.yaml", "kuberay-cronjob.yaml", "kuberay-job.yaml", "kuberay-service.yaml"]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("[!_]*.py") if path.stem != "fetch_movielens")


def documents(name):
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


def cluster_of(name):
    """The only Ray cluster of a file."""
    spec = documents(name)[0]["spec"]
    spec = spec.get("jobTemplate", spec)
    return spec.get("rayClusterSpec", spec.get("rayClusterConfig", spec))


def tool(name):
    return str(Path(sys.executable).with_name(name))


def run(*words):
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.name)
def test_manifests_are_clean_yaml(path):
    run(tool("yamllint"), "--strict", str(path))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_dockerfiles_are_clean(path):
    run(tool("hadolint"), str(path))


@pytest.mark.parametrize("name", KUBERAY)
def test_ray_on_kubernetes_is_what_the_operator_takes(name):
    (found,) = documents(name)
    schema = json.loads(Path(__file__).with_name("kuberay.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(found)
    spec = cluster_of(name)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_a_wrong_field_is_noticed():
    found = documents("kuberay-cluster.yaml")[0]
    schema = json.loads(Path(__file__).with_name("kuberay.json").read_text())
    found["spec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(found)


def test_the_mlflow_server_is_what_kubernetes_takes():
    found = documents("mlflow.yaml")
    assert {entry["kind"] for entry in found} == {"Deployment", "NetworkPolicy", "Service", "StatefulSet"}
    for entry in found:
        kubernetes_validate.validate(entry, KUBERNETES, strict=True)


def test_the_compose_file_is_what_compose_takes():
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "cluster/mlflow-compose.yaml")


def test_the_bare_cloud_is_what_ray_up_takes():
    """As `ray up` fills the file in and checks it, before it asks the cloud for anything."""
    (found,) = documents("ray-up.yaml")
    full = prepare_config(found)
    validate_config(full)
    for local in found["file_mounts"].values():
        assert local == "." or local.startswith("~"), local


def test_a_job_brings_the_cluster_that_others_share():
    assert cluster_of("kuberay-job.yaml") == cluster_of("kuberay-cluster.yaml") == cluster_of("kuberay-cronjob.yaml")


def test_the_nightly_job_differs_from_a_run_by_its_command_alone():
    (nightly,), (job,) = documents("kuberay-cronjob.yaml"), documents("kuberay-job.yaml")
    template = dict(nightly["spec"]["jobTemplate"])
    words = shlex.split(template.pop("entrypoint"))
    assert {**template, "entrypoint": ""} == {**job["spec"], "entrypoint": ""}
    assert words[:4] == ["python", "-m", "jobs.update", "production"]
    parsed = parse(["update", *words[3:]])
    assert (parsed.items, parsed.settings) == ("s3://unisid/days/latest/items.parquet", ("--name", "shop"))


def test_what_a_job_is_told_of_its_cluster_is_what_the_cluster_can_grow_to():
    (job,) = documents("kuberay-job.yaml")
    told = yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"]
    most = {"cpu": 0, "nvidia.com/gpu": 0}
    for group in cluster_of("kuberay-job.yaml")["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        for name in most:
            most[name] += group["maxReplicas"] * int(container["resources"]["limits"].get(name, 0))
    assert (int(told["UNISID_CLUSTER_CPUS"]), int(told["UNISID_CLUSTER_GPUS"])) == tuple(most.values())


def test_the_production_recipe_fits_into_the_cluster():
    """Each of its pools alone; chains of pools are cut to what there is."""
    groups = cluster_of("kuberay-cluster.yaml")["workerGroupSpecs"]
    pools = [value for part in vars(recipes.find("production")).values() for value in vars_of(part)]
    for pool in pools:
        room = 0
        for group in groups:
            limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
            cpus, gpus = int(limits["cpu"]), int(limits.get("nvidia.com/gpu", 0))
            a_node = cpus // pool.cpus if not pool.gpus else min(cpus // pool.cpus, gpus // pool.gpus)
            room += group["maxReplicas"] * int(a_node)
        assert room >= pool.workers, pool


def vars_of(part):
    return [value for value in getattr(part, "__dict__", {}).values() if isinstance(value, Pool)]


def test_the_job_runs_a_recipe_that_is_there():
    (job,) = documents("kuberay-job.yaml")
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["python", "-m"]
    assert find_spec(words[2]) is not None
    rest = words[4:]
    at = rest.index("--store")
    assert recipes.configure(recipes.find(words[3]), rest[:at] + rest[at + 2 :]).name == "shop"


def test_the_service_is_what_serve_takes_and_fits_into_its_cluster():
    (service,) = documents("kuberay-service.yaml")
    deployed = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (app,) = deployed.applications
    assert app.import_path == f"{ray_serve.__name__}:{ray_serve.build.__name__}"
    bound = ray_serve.build(app.args)._bound_deployment
    (group,) = cluster_of("kuberay-service.yaml")["workerGroupSpecs"]
    a_node = int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert group["replicas"] * (a_node // app.args["serving"]["cpus"]) >= bound.num_replicas == 4


@pytest.mark.parametrize("name", JOBS)
def test_every_entry_point_says_how_it_is_submitted(name):
    text = (ROOT / "jobs" / f"{name}.py").read_text()
    lines = text.replace("\\\n", " ").splitlines()
    commands = [line.split() for line in lines if line.strip().startswith("ray job submit")]
    assert commands
    for words in commands:
        assert words[:8] == [
            "ray",
            "job",
            "submit",
            "--working-dir",
            ".",
            "--runtime-env",
            "cluster/runtime_env.yaml",
            "--",
        ]
        assert words[8:11] == ["python", "-m", f"jobs.{name}"]
        assert (ROOT / words[6]).exists()
    assert '__name__ == "__main__"' in text


def test_versions_are_those_of_the_constraints():
    files = "\n".join(path.read_text() for path in (*MANIFESTS, *DOCKERFILES))
    assert set(re.findall(r"rayproject/ray:([0-9.]+)", files)) == {PINS["ray"]}
    assert set(re.findall(r"RAY=([0-9.]+)-py311", files)) == {PINS["ray"]}
    assert {cluster_of(n)["rayVersion"] for n in KUBERAY} == {PINS["ray"]}
    assert set(re.findall(r"unisid(?:-mlflow)?:([0-9.]+)", files)) == {__version__}
    assert {"mlflow", "psycopg2-binary", "boto3"} <= set(PINS)


def test_images_have_exact_names():
    files = "\n".join(path.read_text() for path in MANIFESTS)
    for image in re.findall(r"^\s*(?:- )?image: *(\S+)$", files, re.MULTILINE):
        assert re.fullmatch(r"[a-z0-9/-]+:[A-Za-z0-9._-]+", image), image
        assert not image.endswith(":latest")


def test_what_the_dockerfiles_copy_exists():
    for path in DOCKERFILES:
        seen = path.with_name(path.name + ".dockerignore").read_text().splitlines()
        for line in path.read_text().splitlines():
            if line.startswith("COPY"):
                for source in [word for word in line.split()[1:] if not word.startswith("--")][:-1]:
                    assert (ROOT / source).exists(), line
                    assert f"!{source.split('/')[0]}" in seen, line


def test_no_password_lies_in_a_file():
    for path in MANIFESTS:
        for line in path.read_text().splitlines():
            if re.search(r"PASSWORD: |SECRET_ACCESS_KEY: ", line):
                assert "${" in line, f"{path.name}: {line}"
