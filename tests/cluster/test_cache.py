"""What is made once is made once, whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.cluster.binaries import GO_MODULES, KUBERNETES_VERSION, MODULES
from tests.cluster.cache import cached, content_hash
from tests.cluster.prerequisites import DebianPackage, PrerequisiteError, require_go, require_packages


def make_file(folder: Path) -> None:
    (folder / "made").touch()


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    entry = tmp_path / "entries" / "one"
    cached(entry, make_file)
    cached(entry, lambda folder: pytest.fail("made again"))
    assert (entry / "made").exists()


def test_a_failure_leaves_no_entry_and_no_rubbish(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        make_file(folder)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cached(tmp_path / "one", fail)
    assert [path.name for path in tmp_path.iterdir()] == [".one.lock"]
    cached(tmp_path / "one", make_file)
    assert (tmp_path / "one" / "made").exists()


def test_two_at_once_make_one_entry_and_the_second_is_told_to_wait(tmp_path: Path) -> None:
    entry = tmp_path / "one"
    making, waiting = threading.Event(), threading.Event()

    def make_slowly(folder: Path) -> None:
        making.set()
        assert waiting.wait(10)
        make_file(folder)

    first = threading.Thread(target=cached, args=(entry, make_slowly))
    first.start()
    assert making.wait(10)
    cached(entry, lambda folder: pytest.fail("made twice"), on_wait=waiting.set)
    first.join()
    assert (entry / "made").exists()


def test_a_hash_tells_parts_apart() -> None:
    assert content_hash([b"ab", b"c"]) != content_hash([b"a", b"bc"])


def test_a_changed_version_is_built_in_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = MODULES[0]
    sources = tmp_path / module.name
    sources.mkdir()
    (sources / "go.mod").write_text("require k8s.io/kubernetes v1.36.3")
    monkeypatch.setattr("tests.cluster.binaries.GO_MODULES", tmp_path)
    before = module.folder()
    (sources / "go.mod").write_text("require k8s.io/kubernetes v1.36.4")
    assert module.folder() != before


def test_the_stamped_version_is_the_one_that_is_built() -> None:
    assert f"k8s.io/kubernetes v{KUBERNETES_VERSION}\n" in (GO_MODULES / "kube" / "go.mod").read_text()


def test_a_machine_without_go_is_told_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    with pytest.raises(PrerequisiteError, match=r"no `go` in PATH: install Go 1\.21 or newer"):
        require_go()


def test_a_user_without_root_is_told_which_command_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    missing = DebianPackage(name="runc", evidence="/nonexistent/runc")
    with pytest.raises(PrerequisiteError, match="apt-get install --yes --no-install-recommends runc"):
        require_packages((missing,))


def test_packages_that_are_there_are_not_installed() -> None:
    require_packages((DebianPackage(name="coreutils", evidence="ls"),))
