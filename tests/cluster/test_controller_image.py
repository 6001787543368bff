"""The image made here and the one of the Containerfile are the same."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.cluster.controller_image import (
    AWS_SERVICES,
    CONFIG,
    PACKAGES_LEFT_OUT,
    REPOSITORY,
    write_controller_layer,
)

CONTAINERFILE = (REPOSITORY / "Containerfile").read_text()


def test_user_and_entrypoint_are_those_of_the_containerfile() -> None:
    assert f"USER {CONFIG.user}\n" in CONTAINERFILE
    assert f"ENTRYPOINT {json.dumps(list(CONFIG.entrypoint))}\n" in CONTAINERFILE


def test_the_environment_is_that_of_the_containerfile() -> None:
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", CONTAINERFILE, flags=re.MULTILINE)
    variables = dict(pair.split("=", 1) for pair in block.replace("\\\n", " ").split())
    assert variables == {name: value for name, value in CONFIG.environment.items() if name != "PATH"}


def test_the_containerfile_strips_the_same_packages() -> None:
    assert set(re.findall(r"! -name (\S+)", CONTAINERFILE)) == AWS_SERVICES
    for pattern in PACKAGES_LEFT_OUT:
        if not pattern.startswith("*"):
            assert f" {pattern} " in CONTAINERFILE.replace("\n", " ")


def test_the_top_layer_is_the_package_compiled_for_its_place(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    write_controller_layer(layer)
    with tarfile.open(layer) as opened:
        names = opened.getnames()
        compiled = opened.extractfile("opt/bilgepump/controller/__pycache__/__init__.cpython-311.pyc")
        assert compiled is not None
        assert b"/opt/bilgepump/controller/__init__.py" in compiled.read()
    assert "opt/bilgepump/controller/__init__.py" in names


@pytest.mark.parametrize("variable", ["LOGNAME", "PYTHONDONTWRITEBYTECODE", "HOME"])
def test_what_a_read_only_nonroot_container_needs_is_set(variable: str) -> None:
    assert CONFIG.environment[variable]
