"""What is published: complete, the same twice, and of one version."""

import hashlib
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from controller import __version__
from release import audit, parts
from release.audit import verdict
from tests.cluster.binaries import build


def test_versions_agree() -> None:
    chart = yaml.safe_load((parts.CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert image["image"] == f"{parts.IMAGE}:{__version__}"
    values = yaml.safe_load((parts.CHART / "values.yaml").read_text())
    assert values["image"]["repository"] == parts.IMAGE


@pytest.mark.parametrize(
    "part",
    [
        parts.wheel,
        parts.definitions,
        parts.bill_of_materials,
        pytest.param(parts.chart, marks=pytest.mark.go),
    ],
    ids=lambda part: part.__name__,
)
def test_part_comes_out_the_same_twice(part: Callable[[Path], Path], tmp_path: Path) -> None:
    contents = []
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
        contents.append(part(tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_wheel_holds_the_program_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(parts.wheel(tmp_path)) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(f"bilgepump-{__version__}.dist-info/METADATA").decode()
    assert {name.partition("/")[0] for name in names} == {"controller", f"bilgepump-{__version__}.dist-info"}
    assert "controller/sweep/flow.py" in names
    assert f"Version: {__version__}" in metadata


def test_definitions_are_those_of_the_repository(tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(parts.definitions(tmp_path).read_text()))
    given = [yaml.safe_load(path.read_text()) for path in sorted((parts.REPOSITORY / "crds").glob("*.yaml"))]
    assert documents == given


def test_bill_names_exactly_what_is_locked(tmp_path: Path) -> None:
    bill = json.loads(parts.bill_of_materials(tmp_path).read_text())
    lock = (parts.REPOSITORY / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", lock, re.MULTILINE))
    assert {one["name"]: one["version"] for one in bill["components"]} == locked
    assert bill["metadata"]["component"]["version"] == __version__
    for component in bill["components"]:
        hashes = [one["content"] for ref in component["externalReferences"] for one in ref.get("hashes", ())]
        assert hashes
        assert all(value in lock for value in hashes)


@pytest.mark.go
def test_chart_can_be_installed_from_its_package(tmp_path: Path) -> None:
    package = parts.chart(tmp_path)
    with tarfile.open(package) as archive:
        names = archive.getnames()
    assert names[0] == "bilgepump/Chart.yaml"
    assert "bilgepump/files/crds/memorypolicy.yaml" in names
    helm = build(("helm",))["helm"]
    shown = subprocess.run(
        [helm, "template", "bilgepump", str(package)], capture_output=True, text=True, check=True
    )
    kinds = {document["kind"] for document in yaml.safe_load_all(shown.stdout) if document}
    assert {"Deployment", "CustomResourceDefinition"} <= kinds


def test_checksums_are_checked_by_the_usual_program(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(file.name)
    text = parts.checksums(tmp_path, files).read_text()
    assert hashlib.sha256(b"a").hexdigest() in text
    subprocess.run(["sha256sum", "--check", "--strict", parts.CHECKSUMS], cwd=tmp_path, check=True)


A = {"name": "a", "version": "1", "vulns": []}


@pytest.mark.parametrize(
    ("dependencies", "said", "code"),
    [
        pytest.param([A], "1 dependencies, no known vulnerability", 0, id="nothing known"),
        pytest.param(
            [A, {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}],
            "b 2: CVE-1, fixed in 3",
            1,
            id="a vulnerability",
        ),
        pytest.param(
            [A, {"name": "b", "skip_reason": "not found"}],
            "1 of 2 dependencies could not be asked about, such as b: not found",
            2,
            id="no answer",
        ),
        pytest.param(
            [{"name": "b", "skip_reason": "not found"}],
            "1 of 1 dependencies could not be asked about, such as b: not found\n"
            "NOT AUDITED: the advisory database (pypi.org/pypi/NAME/VERSION/json) told of none of them",
            2,
            id="no answer at all",
        ),
    ],
)
def test_audit_never_takes_silence_for_an_answer(
    dependencies: list[dict[str, object]], said: str, code: int
) -> None:
    assert verdict(dependencies) == (said, code)


def test_database_that_cannot_be_reached_is_no_clean_bill_and_the_sbom_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "DIST", tmp_path / "dist")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert audit.main() == audit.UNKNOWN
    assert "NOT AUDITED" in capsys.readouterr().out.splitlines()[-1]
    (bill,) = (tmp_path / "dist").glob("*-sbom.cdx.json")
    assert json.loads(bill.read_text())["bomFormat"] == "CycloneDX"
