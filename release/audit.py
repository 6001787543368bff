"""
Asks PyPI's advisory database about every dependency that is shipped, and writes the SBOM: `make audit`.

No answer is not "no vulnerability": where the database cannot be reached it says so and fails. Exit codes:
0 no known vulnerability, 1 vulnerabilities, 2 not all could be asked about and none of the others has one.
`make` itself ends with 2 for both: the last line says which it was.
"""

import json
import subprocess
import sys
from typing import Any

from release import parts

LOCK = parts.REPOSITORY / "requirements.lock"


UNKNOWN = 2


class Unreachable(Exception):
    """The advisory database cannot be asked at all; the message is pip-audit's."""


def ask() -> list[dict[str, Any]]:
    """Every dependency as pip-audit answers: with `vulns`, or with a `skip_reason`. Raises Unreachable."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes"]
    asked = subprocess.run(
        [*command, "--disable-pip", "--format", "json", "--progress-spinner", "off"],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        answered: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        raise Unreachable(asked.stderr.strip()[-1000:]) from None
    return answered


def verdict(dependencies: list[dict[str, Any]]) -> tuple[str, int]:
    """What to say, and the exit code: 0 nothing known, 1 vulnerabilities, 2 not all could be asked about."""
    unknown = [one for one in dependencies if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for one in dependencies
        for vulnerability in one.get("vulns", ())
    ]
    found = bool(lines)
    if unknown:
        lines.append(
            f"{len(unknown)} of {len(dependencies)} dependencies could not be asked about, such as "
            f"{unknown[0]['name']}: {unknown[0]['skip_reason']}"
        )
    if len(unknown) == len(dependencies):
        lines.append(
            "NOT AUDITED: the advisory database (pypi.org/pypi/NAME/VERSION/json) told of none of them"
        )
    if not lines:
        lines.append(f"{len(dependencies)} dependencies, no known vulnerability")
    return "\n".join(lines), 1 if found else UNKNOWN if unknown else 0


def main() -> int:
    """Writes the SBOM, says what is known of what is in it, and answers the exit code."""
    parts.DIST.mkdir(exist_ok=True)
    print(f"dist/{parts.bill_of_materials(parts.DIST).name}: what is shipped")
    try:
        said, code = verdict(ask())
    except Unreachable as why:
        said, code = f"{why}\nNOT AUDITED: the advisory database cannot be asked", UNKNOWN
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
