"""Container images without a container engine: docker-archive tars, the same bytes for the same content.

The format is that of `docker save` (https://github.com/moby/docker-image-spec/blob/main/v1.2.md): a
configuration, one tar per layer, and ``manifest.json``; ``ctr images import`` reads it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.configuration import PAUSE_IMAGE

NONROOT = "65532:65532"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What the container runtime reads of an image."""

    entrypoint: tuple[str, ...]
    user: str = NONROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self, layer_digests: Sequence[str]) -> bytes:
        """The image configuration as JSON."""
        machine = platform.machine()
        return json.dumps(
            {
                "architecture": ARCHITECTURES.get(machine, machine),
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": {
                    "User": self.user,
                    "Entrypoint": list(self.entrypoint),
                    "Env": [f"{name}={value}" for name, value in self.environment.items()],
                    "WorkingDir": self.working_dir,
                    "Labels": dict(self.labels),
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layer_digests]},
            },
            sort_keys=True,
        ).encode()


def write_archive(path: Path, *, tag: str, config: ImageConfig, layers: Sequence[Path]) -> None:
    """Write a docker-archive with these layer tars, the lowest first."""
    digests = [_sha256(layer) for layer in layers]
    document = config.document(digests)
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    layer_names = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": layer_names}]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        _add_bytes(archive, config_name, document)
        for name, layer in zip(layer_names, layers, strict=True):
            header = _header(tarfile.TarInfo(name))
            header.size = layer.stat().st_size
            with layer.open("rb") as content:
                archive.addfile(header, content)
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def write_layer(
    path: Path,
    root: Path,
    *,
    prefix: str = "",
    keep: Callable[[str], bool] = lambda name: True,
    root_owned: bool = True,
) -> None:
    """Write the tree below `root` as a layer, under `prefix` in the image.

    `keep` is asked with every path relative to `root`; what it refuses is left out with everything below.
    Times are zero and owners root (with `root_owned`), so equal trees give equal bytes.
    """
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as layer:
        parts = Path(prefix).parts
        for depth in range(1, len(parts) + 1):
            folder = _header(tarfile.TarInfo("/".join(parts[:depth])))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(folder)
        for name in _tree(root, keep):
            _add_path(layer, root / name, "/".join([*parts, name]), root_owned=root_owned)


def static_binary_image(
    path: Path,
    binary: Path,
    *,
    tag: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    user: str = NONROOT,
) -> None:
    """Write the image of one statically linked program, which becomes its entrypoint."""
    layer = path.with_name(f"{path.name}.layer")
    try:
        with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as content:
            scratch = _header(tarfile.TarInfo("tmp"))
            scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
            content.addfile(scratch)
            header = _header(tarfile.TarInfo(binary.name))
            header.size, header.mode = binary.stat().st_size, 0o755
            with binary.open("rb") as program:
                content.addfile(header, program)
        entrypoint = (f"/{binary.name}", *arguments)
        config = ImageConfig(entrypoint=entrypoint, user=user, environment=environment or {})
        write_archive(path, tag=tag, config=config, layers=[layer])
    finally:
        layer.unlink(missing_ok=True)


def write_pause_image(path: Path, pause: Path) -> None:
    """Write the image of the container that holds a pod's namespaces."""
    static_binary_image(path, pause, tag=PAUSE_IMAGE)


def _tree(root: Path, keep: Callable[[str], bool]) -> list[str]:
    """Paths below `root`, relative, folders before their content, in the same order everywhere."""
    names = []
    for folder, subfolders, files in os.walk(root):
        relative = Path(folder).relative_to(root)
        named = {name: (relative / name).as_posix() for name in (*subfolders, *files)}
        subfolders[:] = sorted(name for name in subfolders if keep(named[name]))
        names += [named[name] for name in sorted((*subfolders, *files)) if keep(named[name])]
    return names


def _add_path(layer: tarfile.TarFile, path: Path, name: str, *, root_owned: bool) -> None:
    header = layer.gettarinfo(path, arcname=name)
    owner = (header.uid, header.gid)
    _header(header)
    if not root_owned:
        header.uid, header.gid = owner
    if header.isreg():
        with path.open("rb") as content:
            layer.addfile(header, content)
    else:
        layer.addfile(header)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    header = _header(tarfile.TarInfo(name))
    header.size = len(content)
    archive.addfile(header, io.BytesIO(content))


def _header(header: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs from machine to machine and from run to run."""
    header.uid = header.gid = 0
    header.uname = header.gname = ""
    header.mtime = 0
    return header


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
