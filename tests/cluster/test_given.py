"""A given cluster is taken only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.client import CommandError
from tests.cluster.given import GivenCluster, from_environment


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig file, kubectl and helm in PATH, and no variable set."""
    for program in ("kubectl", "helm"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for variable in ("BILGEPUMP_KUBECONFIG", "KUBECONFIG", "BILGEPUMP_LOAD_IMAGE"):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "kubeconfig"
    path.touch()
    return path


def test_a_cluster_that_merely_is_configured_is_not_taken(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert from_environment() is None
    given = from_environment(accept_kubeconfig=True)
    assert given is not None
    assert given.kubeconfig == kubeconfig


def test_the_projects_own_variable_wins(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/elsewhere")
    monkeypatch.setenv("BILGEPUMP_KUBECONFIG", str(kubeconfig))
    given = from_environment(accept_kubeconfig=True)
    assert given is not None
    assert given.kubeconfig == kubeconfig


def test_a_kubeconfig_that_is_not_there_is_named(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILGEPUMP_KUBECONFIG", "/nowhere")
    with pytest.raises(ValueError, match="BILGEPUMP_KUBECONFIG: '/nowhere' is not a file"):
        from_environment()


def test_images_are_loaded_with_the_command_that_was_given(kubeconfig: Path, tmp_path: Path) -> None:
    archive, loaded = tmp_path / "image.tar", tmp_path / "loaded"
    archive.write_text("image")
    GivenCluster(kubeconfig, ("sh", "-c", f'cp "$1" {loaded}', "load")).import_image(archive)
    assert loaded.read_text() == "image"


def test_without_such_a_command_the_variable_to_set_is_named(kubeconfig: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="set BILGEPUMP_LOAD_IMAGE"):
        GivenCluster(kubeconfig, ()).import_image(tmp_path / "image.tar")
