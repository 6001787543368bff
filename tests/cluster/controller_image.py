"""The controller's image, made without a container engine, in three layers by how often they change.

1. A Debian root file system with Python (about a minute and a half, once).
2. The packages of ``requirements.lock``, checked against its hashes, stripped and compiled (once per lock).
3. The package ``controller`` (each time, a second or two).

``Containerfile`` makes the same content for those who have an engine. Python there and here is 3.11, as in
Debian 12, which is what the compiled files and the packages' extension modules are made for.
"""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster.cache import cache_root, cached, content_hash
from tests.cluster.images import ImageConfig, write_archive, write_layer
from tests.cluster.prerequisites import (
    ROOTFS_PACKAGES,
    PrerequisiteError,
    require_linux_root,
    require_packages,
    search_path,
)
from tests.cluster.progress import PROGRESS

REPOSITORY = Path(__file__).parents[2]
CONTROLLER_IMAGE = "bilgepump.dev/bilgepump:dev"
PYTHON_VERSION = (3, 11)
DEBIAN_RELEASE = "bookworm"
DEBIAN_PACKAGES = ("python3", "ca-certificates", "tzdata")
INSTALLED_AT = "opt/bilgepump"
LAYER = "layer.tar"

#: What a container never reads, as patterns of paths in the root file system.
ROOTFS_LEFT_OUT = (
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
    "debootstrap",
    "var/cache/*",
    "var/log/*",
    "var/lib/apt/lists/*",
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/lintian/*",
    "usr/lib/python3/dist-packages/*",
    "*/__pycache__",
)
#: botocore's service descriptions are most of its size; these are the services the controller talks to.
AWS_SERVICES = frozenset({"ecs", "sts", "s3", "cloudwatch", "events"})
PACKAGES_LEFT_OUT = (
    "bin",
    "numpy/*/tests",
    "numpy/tests",
    "numpy/f2py",
    "numpy/distutils",
    "kubernetes/aio",  # a second, asynchronous copy of the client
    "numpy/_pyinstaller",
    "numpy/*/include",
    "*.dist-info/RECORD",
    "*.pyi",
)

CONFIG = ImageConfig(
    entrypoint=("python3", "-m", "controller"),
    environment={
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"/{INSTALLED_AT}",
        # The compiled files are in the image, and its root file system is read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # kopf asks for the user's name, which a uid without a passwd entry does not have.
        "LOGNAME": "bilgepump",
        "HOME": "/tmp",
    },
    labels={
        "org.opencontainers.image.title": "bilgepump",
        "org.opencontainers.image.licenses": "Apache-2.0",
    },
)


def controller_image(archive: Path, *, tag: str = CONTROLLER_IMAGE) -> Path:
    """Write the controller's image from the working tree as a docker-archive, and return its path.

    Raises PrerequisiteError without root, debootstrap or Python 3.11.
    """
    layers = [rootfs_layer(), packages_layer()]
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="controller-", dir=cache_root()) as folder:
        top = Path(folder) / LAYER
        write_controller_layer(top)
        write_archive(archive, tag=tag, config=CONFIG, layers=[*layers, top])
    return archive


def rootfs_layer() -> Path:
    """The layer with Debian and Python."""
    recipe = repr((DEBIAN_RELEASE, DEBIAN_PACKAGES, ROOTFS_LEFT_OUT))
    entry = cache_root() / "layers" / f"rootfs-{content_hash([recipe.encode()])}"
    return _layer(entry, "the image's root file system", 90, _make_rootfs)


def packages_layer() -> Path:
    """The layer with the packages of ``requirements.lock``."""
    recipe = repr((sorted(AWS_SERVICES), PACKAGES_LEFT_OUT, PYTHON_VERSION))
    lock = (REPOSITORY / "requirements.lock").read_bytes()
    entry = cache_root() / "layers" / f"packages-{content_hash([recipe.encode(), lock])}"
    return _layer(entry, "the image's Python packages", 60, _make_packages)


def _layer(entry: Path, name: str, cold_seconds: int, make: Callable[[Path], None]) -> Path:
    if not entry.exists():
        with PROGRESS.step(name, expected_seconds=cold_seconds) as step:
            cached(entry, make, on_wait=lambda: step.note("waiting for another process that makes it"))
    return entry / LAYER


def _make_rootfs(folder: Path) -> None:
    require_linux_root("making the image's root file system")
    require_packages(ROOTFS_PACKAGES)
    root = folder / "root"
    include = f"--include={','.join(DEBIAN_PACKAGES)}"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", include, DEBIAN_RELEASE, str(root)],
        capture_output=True,
        text=True,
        env={"PATH": search_path(), "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )
    if made.returncode != 0:
        raise PrerequisiteError(f"debootstrap failed:\n{(made.stdout + made.stderr)[-2000:]}")
    write_layer(folder / LAYER, root, keep=_all_but(ROOTFS_LEFT_OUT), root_owned=False)
    shutil.rmtree(root)


def _make_packages(folder: Path) -> None:
    _require_python()
    root = folder / "root"
    lock = REPOSITORY / "requirements.lock"
    flags = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *flags]
    installed = subprocess.run(
        [*pip, "--target", str(root), "--requirement", str(lock)], capture_output=True, text=True
    )
    if installed.returncode != 0:
        raise PrerequisiteError(f"pip install of requirements.lock failed:\n{installed.stderr[-2000:]}")
    keep_file = _all_but(PACKAGES_LEFT_OUT)
    for service in (root / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in AWS_SERVICES:
            shutil.rmtree(service)
    _compile(root)
    write_layer(folder / LAYER, root, prefix=INSTALLED_AT, keep=keep_file)
    shutil.rmtree(root)


def write_controller_layer(layer: Path) -> None:
    """Write the layer with the package ``controller`` as it is in the working tree."""
    _require_python()
    root = layer.parent / "root"
    shutil.copytree(
        REPOSITORY / "controller", root / "controller", ignore=shutil.ignore_patterns("__pycache__")
    )
    _compile(root)
    write_layer(layer, root, prefix=INSTALLED_AT)


def _compile(root: Path) -> None:
    """Compile everything below `root`, as it will be found in the image.

    The compiled files are not checked against their sources: times are zeroed in the layers, and nothing
    changes in an image.
    """
    checks = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    placement = ["-s", str(root), "-p", f"/{INSTALLED_AT}"]
    command = [sys.executable, "-m", "compileall", *checks, *placement, str(root)]
    subprocess.run(command, check=True, capture_output=True)


def _require_python() -> None:
    if sys.version_info[:2] != PYTHON_VERSION:
        wanted, here = (".".join(map(str, version[:2])) for version in (PYTHON_VERSION, sys.version_info))
        raise PrerequisiteError(f"the controller's image is made with Python {wanted}; this is {here}")


def _all_but(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda name: not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
