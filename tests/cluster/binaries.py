"""The cluster's programs, built once from the Go module proxy and kept in the cache.

Every folder under ``go/`` is a Go module that pins one upstream release by its ``go.mod`` and ``go.sum``; its
programs land in ``<cache>/binaries/<module>-<hash of the folder and the build flags>/``, so a changed version
builds anew and an unchanged one is reused for ever.

Prometheus is built too, though Debian ships 2.42 ready made: ``track_timestamps_staleness`` came with 2.48,
and without it the series of a restarted container lingers for five minutes beside its successor's.
That costs about three minutes once, cold. No wheel on PyPI ships the Helm program itself (there are wrappers
and bindings by third parties), so it comes from its Go module as well.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import cache_root, cached, content_hash
from tests.cluster.prerequisites import require_go
from tests.cluster.progress import PROGRESS

KUBERNETES_VERSION = "1.36.3"
GO_MODULES = Path(__file__).parent / "go"


class BuildError(RuntimeError):
    """A program could not be built; the message ends with the end of the compiler's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One folder under ``go/``: what to build in it, and how."""

    name: str
    packages: tuple[str, ...] = (".",)
    programs: tuple[str, ...]
    # Where one binary holds several programs: the name of the binary; each program is a symbolic link to it.
    binary: str | None = None
    tags: str = ""
    ldflags: str = "-s -w"
    static: bool = False
    # Cold, on two cores, downloads included: what people are told to expect.
    cold_seconds: int

    def fingerprint(self) -> str:
        """A hash of everything that decides what is built."""
        folder = GO_MODULES / self.name
        sources = [
            part
            for source in sorted(folder.iterdir())
            for part in (source.name.encode(), source.read_bytes())
        ]
        flags = repr((self.packages, self.programs, self.binary, self.tags, self.ldflags, self.static))
        return content_hash([*sources, flags.encode()])

    def folder(self) -> Path:
        """Where this module's programs are, or will be."""
        return cache_root() / "binaries" / f"{self.name}-{self.fingerprint()}"


def _kubernetes_ldflags() -> str:
    """Clients, Helm's kubeVersion check and kubectl's skew check fail on a version they cannot parse."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    stamps = {
        "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES_VERSION}",
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBERNETES_VERSION}",
    }
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in stamps.items())])


MODULES = (
    Module(
        name="kube",
        binary="kube",
        programs=(
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        ),
        ldflags=_kubernetes_ldflags(),
        cold_seconds=290,
    ),
    Module(name="etcd", programs=("etcd",), cold_seconds=55),
    Module(name="pause", programs=("pause",), static=True, cold_seconds=5),
    Module(
        name="containerd",
        packages=tuple(
            f"github.com/containerd/containerd/v2/cmd/{program}"
            for program in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        programs=("containerd", "containerd-shim-runc-v2", "ctr"),
        cold_seconds=90,
    ),
    Module(
        name="prometheus",
        packages=("github.com/prometheus/prometheus/cmd/prometheus",),
        programs=("prometheus",),
        tags="remove_all_sd,enable_kubernetes_sd",
        static=True,
        cold_seconds=200,
    ),
    Module(
        name="promtool",
        packages=("github.com/prometheus/prometheus/cmd/promtool",),
        programs=("promtool",),
        tags="remove_all_sd,enable_kubernetes_sd",
        static=True,
        # Most of it is compiled already, for prometheus.
        cold_seconds=40,
    ),
    Module(name="helm", packages=("helm.sh/helm/v4/cmd/helm",), programs=("helm",), cold_seconds=100),
    Module(
        name="rollouts",
        packages=("github.com/argoproj/argo-rollouts/cmd/rollouts-controller",),
        programs=("rollouts-controller",),
        static=True,
        # Half of it is Kubernetes' own libraries, of another version than those of `kube`.
        cold_seconds=300,
    ),
    Module(name="hello", programs=("hello",), static=True, cold_seconds=10),
)
CONTROL_PLANE_MODULES = ("kube", "etcd")
NODE_MODULES = (*CONTROL_PLANE_MODULES, "pause", "containerd", "prometheus", "helm")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where each program is."""

    paths: dict[str, Path]

    def __getitem__(self, program: str) -> Path:
        return self.paths[program]

    def search_path(self) -> str:
        """A PATH that finds every program by its name."""
        return os.pathsep.join(sorted({str(path.parent) for path in self.paths.values()}))


def is_built(modules: Collection[str] = NODE_MODULES) -> bool:
    """Whether `build` would find everything made."""
    return all(module.folder().exists() for module in MODULES if module.name in modules)


def build(modules: Collection[str] = NODE_MODULES) -> Binaries:
    """Build what is missing of `modules`, showing progress, and say where the programs are.

    Raises PrerequisiteError without Go, BuildError when a build fails.
    """
    chosen = [module for module in MODULES if module.name in modules]
    missing = [module for module in chosen if not module.folder().exists()]
    if missing:
        go = require_go()
        minutes = max(1, round(sum(module.cold_seconds for module in missing) / 60))
        PROGRESS.say(
            f"building {', '.join(module.name for module in missing)} from source: about {minutes} min "
            f"on two cores with nothing cached; once only, kept in {cache_root()}"
        )
        for module in missing:
            _build_module(module, go)
    return Binaries({program: module.folder() / program for module in chosen for program in module.programs})


def source_folder(module: str, path: str) -> Path:
    """Where Go keeps the sources of `path` in the version that `module` pins: manifests lie beside them.

    Raises PrerequisiteError without Go, BuildError where it cannot be had.
    """
    finished = subprocess.run(
        [require_go(), "mod", "download", "-json", path],
        cwd=GO_MODULES / module,
        capture_output=True,
        text=True,
    )
    if finished.returncode != 0:
        raise BuildError(f"{path} cannot be had:\n{finished.stdout}{finished.stderr}")
    return Path(json.loads(finished.stdout)["Dir"])


def _build_module(module: Module, go: str) -> None:
    with PROGRESS.step(f"build {module.name}", expected_seconds=module.cold_seconds) as step:
        cached(
            module.folder(),
            lambda folder: _compile(module, go, folder),
            on_wait=lambda: step.note("waiting for another process that builds it"),
        )


def _compile(module: Module, go: str, folder: Path) -> None:
    output = folder / module.binary if module.binary else f"{folder}/"
    command = [go, "build", "-tags", module.tags, "-ldflags", module.ldflags, "-o", str(output)]
    environment = {**os.environ, **({"CGO_ENABLED": "0"} if module.static else {})}
    finished = subprocess.run(
        [*command, *module.packages],
        cwd=GO_MODULES / module.name,
        env=environment,
        capture_output=True,
        text=True,
    )
    if finished.returncode != 0:
        raise BuildError(f"building {module.name} failed:\n{finished.stderr[-3000:]}")
    if module.binary:
        for program in module.programs:
            (folder / program).symlink_to(module.binary)
