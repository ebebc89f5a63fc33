"""The manifests for KubeRay: every field is one that the operator or Kubernetes knows, and they fit the project."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY
from tests.deploy.commands import parse_lape

FOLDER = REPOSITORY / "deploy" / "kuberay"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
SCHEMA = json.loads(Path(__file__).with_name("kuberay.schema.json").read_text())
KUBERNETES = "1.33"


def read(path: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe", pure=True).load(path))


def clusters() -> Iterator[Any]:
    for path in MANIFESTS:
        spec = read(path)["spec"]
        if "headGroupSpec" in spec or "rayClusterSpec" in spec:
            yield pytest.param(spec.get("rayClusterSpec", spec), id=path.name)


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def check(manifest: dict[str, Any]) -> None:
    if manifest["apiVersion"] == "v1":
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        return
    jsonschema.validate(manifest, SCHEMA)
    for group in groups(manifest["spec"].get("rayClusterSpec", manifest["spec"])):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node"}, **group["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_field_is_known(path: Path) -> None:
    check(read(path))


@pytest.mark.parametrize(
    "place",
    [
        ("ttlSecondsAfterFinish",),
        ("rayClusterSpec", "workerGroupSpec"),
        ("rayClusterSpec", "headGroupSpec", "rayStartParam"),
        ("rayClusterSpec", "headGroupSpec", "template", "spec", "volume"),
        ("rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0, "volumesMounts"),
    ],
)
def test_a_misspelt_field_is_found(place: tuple[str | int, ...]) -> None:
    manifest = deepcopy(read(FOLDER / "job.yaml"))
    inner: Any = manifest["spec"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "x"
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(manifest)


def test_parameters_of_ray_are_text() -> None:
    manifest = deepcopy(read(FOLDER / "job.yaml"))
    manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    with pytest.raises(jsonschema.ValidationError):
        check(manifest)


@pytest.mark.parametrize("cluster", list(clusters()))
def test_all_nodes_are_alike_where_they_must_be(cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"] == {"mode": "token"}
    containers = [group["template"]["spec"]["containers"][0] for group in groups(cluster)]
    for part in ("image", "volumeMounts", "workingDir", "env"):
        assert all(container[part] == containers[0][part] for container in containers)
    claim = {"name": "shared", "persistentVolumeClaim": {"claimName": read(FOLDER / "volume.yaml")["metadata"]["name"]}}
    assert all(claim in group["template"]["spec"]["volumes"] for group in groups(cluster))
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_job_runs_commands_that_there_are() -> None:
    _, _, script = shlex.split(read(FOLDER / "job.yaml")["spec"]["entrypoint"])
    prepare, run = (shlex.split(command) for command in script.split("&&"))
    assert parse_lape(prepare)["name"] == "digits"
    values = parse_lape(run)
    assert (values["grid"], values["address"]) == ("quickstart", "auto")
    assert str(values["results"]).startswith("/shared/")


def test_the_image_holds_what_the_manifests_use() -> None:
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE):
        assert all((REPOSITORY / source).exists() for source in sources.split())
    admitted = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE) for source in line.split()}
    assert copied == admitted
    assert re.search(r"^WORKDIR /lape$", dockerfile, re.MULTILINE)
    assert "LAPE_DATA=/shared/data" in dockerfile
