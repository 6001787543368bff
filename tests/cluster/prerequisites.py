"""What the machine must offer: root, Go, and a few Debian packages, which are installed when they can be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

#: The oldest Go that fetches the newer toolchain a go.mod asks for by itself (https://go.dev/doc/toolchain).
OLDEST_GO = (1, 21)


class PrerequisiteError(RuntimeError):
    """Something is missing on this machine; the message says what, and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """A Debian package and the file whose presence shows that it, or its like from elsewhere, is there."""

    name: str
    evidence: str  # a command looked up in PATH, or an absolute path

    def is_present(self) -> bool:
        """Whether the command or file of this package exists."""
        if self.evidence.startswith("/"):
            return Path(self.evidence).exists()
        return shutil.which(self.evidence, path=search_path()) is not None


NODE_PACKAGES = (
    DebianPackage(name="runc", evidence="runc"),
    DebianPackage(name="containernetworking-plugins", evidence="/usr/lib/cni/ptp"),
    DebianPackage(name="iptables", evidence="iptables"),
    DebianPackage(name="conntrack", evidence="conntrack"),
    DebianPackage(name="iproute2", evidence="ip"),
    DebianPackage(name="util-linux", evidence="nsenter"),
)
ROOTFS_PACKAGES = (
    DebianPackage(name="debootstrap", evidence="debootstrap"),
    DebianPackage(name="ca-certificates", evidence="/etc/ssl/certs/ca-certificates.crt"),
)


def search_path() -> str:
    """PATH, with the folders of administrators' commands, which an ordinary user's PATH lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def require_linux_root(purpose: str) -> None:
    """Raise PrerequisiteError unless this is Linux and the user is root."""
    if not sys.platform.startswith("linux"):
        raise PrerequisiteError(f"{purpose} needs Linux; this is {sys.platform}")
    if os.geteuid() != 0:
        raise PrerequisiteError(
            f"{purpose} needs root (namespaces, mounts and cgroups); this is uid {os.geteuid()}. "
            "Run it as root, or point KUBECONFIG at a cluster that exists"
        )


def require_go() -> str:
    """The path of a Go that is new enough.

    Raises PrerequisiteError when there is none.
    """
    go = shutil.which("go", path=os.pathsep.join([search_path(), "/usr/local/go/bin"]))
    if go is None:
        raise PrerequisiteError(
            "building the cluster's binaries needs Go, and there is no `go` in PATH: install Go "
            f"{OLDEST_GO[0]}.{OLDEST_GO[1]} or newer from https://go.dev/dl/"
        )
    printed = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=True
    ).stdout.strip()
    version = re.match(r"go(\d+)\.(\d+)", printed)
    if version and (int(version[1]), int(version[2])) < OLDEST_GO:
        raise PrerequisiteError(f"{go} is {printed}; Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer is needed")
    return go


def require_packages(packages: tuple[DebianPackage, ...]) -> None:
    """Install what is missing of `packages` with apt.

    Raises PrerequisiteError naming the command to run where that cannot be done.
    """
    missing = [package.name for package in packages if not package.is_present()]
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    by_hand = f"missing on this machine: {', '.join(missing)}. On Debian: {' '.join(install)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise PrerequisiteError(by_hand)
    print(f"installing {', '.join(missing)} with apt-get", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "--quiet"], install):
        finished = subprocess.run(command, env=environment, capture_output=True, text=True)
        if finished.returncode != 0:
            raise PrerequisiteError(f"{by_hand}\n`{' '.join(command)}` failed:\n{finished.stderr[-2000:]}")
    if still := [package.evidence for package in packages if not package.is_present()]:
        raise PrerequisiteError(f"{by_hand}: installed, but {', '.join(still)} is still not there")
