"""The Compose files are what the Compose Specification says, and Docker Compose reads them as these tests do."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from cell.settings import CellSettings
from migration.settings import MigrationSettings
from placement.settings import PlacementSettings
from router.settings import RouterSettings
from runtime.settings import Settings
from tests.compose.reading import FOLDER, Service, of, stack, whole

FILES = ("compose.yaml", "parts.yaml", "cell.yaml", "faults.yaml", "tls.yaml")
TOGETHER = [("compose.yaml", *more) for more in ((), ("cell.yaml",), ("faults.yaml",), ("tls.yaml",))]
QUIET: Mapping[str, Any] = {"capture_output": True, "timeout": 30}
WITH_CELL_4 = stack("compose.yaml", "cell.yaml")
WITH_TLS = stack("compose.yaml", "tls.yaml")
PROGRAMS: tuple[type[Settings], ...] = (CellSettings, MigrationSettings, PlacementSettings, RouterSettings)


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Validator:
    """The official one, as `check-jsonschema` carries it."""
    found = importlib.util.find_spec("check_jsonschema")
    assert found is not None, "install the development tools: make test does"
    path = Path(str(found.origin)).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    return jsonschema_rs.validator_for(json.loads(path.read_text(encoding="utf-8")))


def _found(schema: jsonschema_rs.Validator, document: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in schema.iter_errors(document)
    ]


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_as_the_specification_says(schema: jsonschema_rs.Validator, name: str) -> None:
    """By its own schema, before anything is filled in."""
    assert _found(schema, yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("files", TOGETHER, ids="+".join)
def test_together_they_are_as_well(schema: jsonschema_rs.Validator, files: tuple[str, ...]) -> None:
    """With everything filled in."""
    assert _found(schema, whole(*files)) == []


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({"services": {"a": {"image": "a:1", "comand": ["x"]}}}, "comand"),
        ({"services": {"a": {"image": "a:1", "read_only": ["yes"]}}}, "read_only"),
        ({"services": {"a": {"image": "a:1", "depends_on": {"b": {"condition": "healthy"}}}}}, "depends_on"),
        ({"networks": {"a": {"internal": "often", "alias": 1}}}, "networks"),
    ],
)
def test_what_is_not_is_found(schema: jsonschema_rs.Validator, planted: Any, said: str) -> None:
    """The schema is applied, not only loaded."""
    assert any(said in sentence for sentence in _found(schema, planted))


@pytest.fixture(scope="module")
def docker_compose() -> list[str]:
    """Docker Compose itself; needs no engine to read files."""
    if found := shutil.which("docker-compose"):
        return [found]
    if (docker := shutil.which("docker")) and subprocess.run(
        [docker, "compose", "version"], **QUIET
    ).returncode == 0:
        return [docker, "compose"]
    if os.environ.get("CI"):
        pytest.fail("Docker Compose is not installed; it says whether it can read the stack")
    pytest.skip("Docker Compose is not installed")


@pytest.mark.parametrize("files", TOGETHER, ids="+".join)
def test_docker_compose_reads_them_as_we_do(docker_compose: list[str], files: tuple[str, ...]) -> None:
    """So what is proved of what we read is proved of what it runs."""
    words = [word for name in files for word in ("-f", name)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    ran = subprocess.run(
        [*docker_compose, *words, "config", "--format", "json"],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    theirs, ours = of(json.loads(ran.stdout)), stack(*files)
    assert theirs.services.keys() == ours.services.keys()
    assert {name: dict(told).get("internal") for name, told in theirs.networks.items()} == {
        name: told.get("internal") for name, told in ours.networks.items()
    }
    for name, service in ours.services.items():
        assert _comparable(theirs.services[name]) == _comparable(service), name


def _comparable(service: Service) -> Mapping[str, Any]:
    told = {field.name: getattr(service, field.name) for field in fields(service) if field.name != "told"}
    mounts = [(Path(mount.source).name, mount.target, mount.read_only) for mount in service.mounts]
    words = (
        "user",
        "read_only",
        "cap_drop",
        "security_opt",
        "restart",
        "image",
        "tmpfs",
        "hostname",
        "stop_signal",
    )
    return {
        **told,
        "mounts": mounts,
        "command": service.command,
        **{word: service.told.get(word) for word in words},
    }


@pytest.mark.parametrize("name", sorted(WITH_CELL_4.services))
def test_every_setting_that_a_service_is_told_is_one(name: str) -> None:
    """Of its own program, by its name, also where it comes from a file."""
    service, by_tls = WITH_CELL_4.services[name], WITH_TLS.services.get(name, WITH_CELL_4.services[name])
    for kind in PROGRAMS if service.command[:1] == ("python",) else ():
        for key in {*service.environment, *by_tls.environment}:
            if key.startswith(kind.env_prefix):
                setting = key.removeprefix(kind.env_prefix).removesuffix("_FILE").lower()
                assert setting in kind.model_fields, key


def test_a_fifth_cell_is_the_fourth_with_another_name(tmp_path: Path) -> None:
    """As cell.yaml says: nothing of it is called cell-4 but by that name."""
    for path in FOLDER.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    text = (FOLDER / "cell.yaml").read_text(encoding="utf-8")
    (tmp_path / "cell-5.yaml").write_text(re.sub("cell-4", "cell-5", text), encoding="utf-8")
    found = stack("compose.yaml", "cell.yaml", "cell-5.yaml", folder=tmp_path)
    fourth = {name.replace("cell-4", "cell-5") for name in found.services if name.startswith("cell-4")}
    assert fourth == {name for name in found.services if name.startswith("cell-5")}
    assert "cell-5-front" in found.services["router-1"].networks
    assert "/run/secrets/cells/cell-5" in found.services["mover-2"].secrets


def test_cell_4_is_what_the_others_are() -> None:
    """cell.yaml does not fall behind: each of its services differs from cell-1's by the name alone."""
    found = WITH_CELL_4.services
    for name, service in found.items():
        if name.startswith("cell-1-"):
            same = json.dumps(service.told).replace("cell-1", "cell-4")
            assert json.loads(same) == json.loads(json.dumps(found[name.replace("cell-1", "cell-4")].told)), name


def test_every_cell_is_what_the_others_are() -> None:
    """By its name and its Consul server alone."""
    found = stack("compose.yaml").services
    for name, service in found.items():
        for number in ("2", "3"):
            if name.startswith("cell-1-"):
                same = (
                    json.dumps(service.told)
                    .replace("cell-1", f"cell-{number}")
                    .replace("consul-1", f"consul-{number}")
                )
                other = found[name.replace("cell-1", f"cell-{number}")]
                assert json.loads(same) == json.loads(json.dumps(other.told)), name


def test_every_health_check_asks_the_port_that_its_service_has() -> None:
    """A program's own page of health, at the admin port that it is told."""
    for service in stack("compose.yaml").services.values():
        ports = [value for key, value in service.environment.items() if key.endswith("ADMIN_PORT")]
        if ports:
            assert service.told["healthcheck"]["test"] == ["CMD", "python", "-m", "runtime.ready", *ports]
