"""Builds everything that is published into `dist/`: `make release`."""

import shutil
import sys

from release import parts


def main() -> None:
    """All parts, one after another; what an earlier release left is removed."""
    for old in (*parts.DIST.glob("bilgepump-*"), parts.DIST / parts.CHECKSUMS):
        old.unlink(missing_ok=True)
    parts.DIST.mkdir(exist_ok=True)
    files = []
    for build in (parts.wheel, parts.definitions, parts.bill_of_materials, parts.chart, parts.image):
        files.append(build(parts.DIST))
        print(f"{files[-1].stat().st_size:>12,}  dist/{files[-1].name}")
    parts.checksums(parts.DIST, files)
    print(f"{'':12}  dist/{parts.CHECKSUMS}")


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("git is needed: the commit's time goes into what is built")
    main()
