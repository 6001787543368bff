"""Everything that takes minutes the first time, side by side: programs and image layers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.cluster.binaries import Binaries, build
from tests.cluster.controller_image import packages_layer, rootfs_layer
from tests.cluster.prerequisites import NODE_PACKAGES, ROOTFS_PACKAGES, require_linux_root, require_packages


def prepare() -> Binaries:
    """Make what is missing of all that a cluster and the controller's image need. Seconds when nothing is.

    The layers are mostly downloads, the programs mostly computation, so they go on at the same time.

    Raises PrerequisiteError or BuildError.
    """
    require_linux_root("a cluster node")
    require_packages((*NODE_PACKAGES, *ROOTFS_PACKAGES))
    with ThreadPoolExecutor(max_workers=2) as pool:
        layers = [pool.submit(make) for make in (rootfs_layer, packages_layer)]
        binaries = build()
        for layer in layers:
            layer.result()
    return binaries
