"""
Asks PyPI's advisory database about every dependency that is shipped: `make audit`.

No answer is not "no vulnerability": where the database cannot be reached it says so and fails.
"""

import json
import subprocess
import sys
from typing import Any

from release import parts

LOCK = parts.REPOSITORY / "requirements.lock"


def ask() -> list[dict[str, Any]]:
    """Every dependency as pip-audit answers: with `vulns`, or with a `skip_reason`."""
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
        sys.exit(f"the advisory database cannot be asked:\n{asked.stderr.strip()[-1000:]}")
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
    if not lines:
        lines.append(f"{len(dependencies)} dependencies, no known vulnerability")
    return "\n".join(lines), 1 if found else 2 if unknown else 0


if __name__ == "__main__":
    said, code = verdict(ask())
    print(said)
    sys.exit(code)
