"""The parts of a release, each a file: the same bytes from the same commit, the image's Debian apart."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

from controller import __version__
from tests.cluster.binaries import build
from tests.cluster.controller_image import controller_image

REPOSITORY = Path(__file__).parents[1]
DIST = REPOSITORY / "dist"
CHART = REPOSITORY / "charts" / "bilgepump"
IMAGE = "ghcr.io/bilgepump/bilgepump"
CHECKSUMS = "SHA256SUMS"


def commit_time() -> int:
    """When what is checked out was committed, in Unix time: the time of everything in the release."""
    said = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return int(said.stdout)


def wheel(dist: Path) -> Path:
    """The program."""
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist)],
        cwd=REPOSITORY,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(commit_time())},
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        raise RuntimeError(f"the wheel cannot be built:\n{built.stderr}")
    return dist / f"bilgepump-{__version__}-py3-none-any.whl"


def image(dist: Path) -> Path:
    """The controller's image as a docker-archive. Needs what the tests' cluster needs."""
    return controller_image(dist / f"bilgepump-{__version__}-image.tar", tag=f"{IMAGE}:{__version__}")


def chart(dist: Path) -> Path:
    """The chart as Helm packages it, then packed again with the commit's time in place of now."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    package = dist / f"bilgepump-{version}.tgz"
    helm = build(("helm",))["helm"]
    subprocess.run(
        [helm, "package", str(CHART), "--destination", str(dist)], check=True, capture_output=True, text=True
    )
    _pack_again(package)
    return package


def _pack_again(package: Path) -> None:
    with tarfile.open(package) as given:
        members = sorted(given.getmembers(), key=lambda one: (not one.name.endswith("/Chart.yaml"), one.name))
        contents = [(member, given.extractfile(member)) for member in members]
        files = [(member, file.read()) for member, file in contents if file is not None]
    committed_at = commit_time()
    with (
        package.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as made,
    ):
        for member, content in files:
            member.mtime = committed_at
            made.addfile(member, io.BytesIO(content))


def definitions(dist: Path) -> Path:
    """The CustomResourceDefinitions, for those who install them by themselves."""
    path = dist / f"bilgepump-{__version__}-crds.yaml"
    texts = [one.read_text() for one in sorted((REPOSITORY / "crds").glob("*.yaml"))]
    path.write_text("---\n".join(texts))
    return path


def bill_of_materials(dist: Path) -> Path:
    """What is in the program and in the Python part of the image, from the lock, as CycloneDX."""
    path = dist / f"bilgepump-{__version__}-sbom.cdx.json"
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "requirements.lock"]
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--output-file", str(path)]
    subprocess.run([*command, *options], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    bill = json.loads(path.read_text())
    bill["metadata"]["component"]["version"] = __version__
    for component in bill["components"]:
        # The line of the lock, with every hash once more.
        component.pop("description", None)
    path.write_text(json.dumps(bill, indent=2) + "\n")
    return path


def checksums(dist: Path, files: list[Path]) -> Path:
    """`sha256sum --check SHA256SUMS`."""
    path = dist / CHECKSUMS
    lines = [f"{_sha256(file)}  {file.name}\n" for file in sorted(files)]
    path.write_text("".join(lines))
    return path


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
