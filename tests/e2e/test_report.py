"""The report of an incident, fetched by people with different rights."""

from __future__ import annotations

import hashlib
import html
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.demo.stage import CONTROLLER_NAMESPACE, events
from tests.e2e.performance import ON_STAGE, Performance
from tests.e2e.test_story import DEPLOYMENT, Seen

pytestmark = ON_STAGE

STORIES = (DEPLOYMENT,)
LOGS = "pod-logs"
PERSONS = {
    "ana": ("bilgepump-view", "bilgepump-report-reader"),
    "bob": ("bilgepump-report-reader",),
    "eve": (),
    "olga": ("bilgepump-view", "bilgepump-report-reader", LOGS),
}
"""What each is bound to: the right to see incidents, the way to the controller, the right to read logs."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `bilgepump report` left behind."""

    code: int
    said: str
    page: str
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class People:
    """Those who ask for the report of one incident."""

    cluster: Cluster
    seen: Seen
    folder: Path

    @property
    def incident(self) -> str:
        name: str = self.seen.incident["metadata"]["name"]
        return name

    def token(self, person: str) -> str:
        return self.cluster.kubectl("create", "token", person, "-n", self.seen.namespace).stdout.strip()

    def fetch(self, person: str, *options: str) -> Fetched:
        """Asks with the person's own kubeconfig; `admin` has a client certificate."""
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{person}-"))
        document = yaml.safe_load(self.cluster.kubeconfig.read_text())
        if person != "admin":
            document["users"][0]["user"] = {"token": self.token(person)}
        (folder / "kubeconfig").write_text(yaml.safe_dump(document))
        page, files = folder / "report.html", folder / "files"
        where = ("-n", self.seen.namespace, "--out", str(page), "--files", str(files))
        finished = subprocess.run(
            [sys.executable, "-m", "controller", "report", self.incident, *where, *options],
            env=os.environ | {"KUBECONFIG": str(folder / "kubeconfig")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Fetched(
            code=finished.returncode,
            said=finished.stderr,
            page=page.read_text() if page.exists() else "",
            files={path.name: path.read_bytes() for path in files.iterdir()} if files.exists() else {},
        )


@pytest.fixture(scope="module")
def people(performance: Performance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    seen = performance.seen(DEPLOYMENT)
    cluster, namespace = performance.stage.cluster, seen.namespace
    for person, roles in PERSONS.items():
        account = f"--serviceaccount={namespace}:{person}"
        cluster.kubectl("create", "serviceaccount", person, "-n", namespace)
        if "bilgepump-view" in roles:
            role = "--clusterrole=bilgepump-view"
            cluster.kubectl("create", "rolebinding", person, "-n", namespace, role, account)
        if LOGS in roles:
            cluster.kubectl("create", "role", LOGS, "-n", namespace, "--verb=get", "--resource=pods/log")
            name = f"{person}-{LOGS}"
            cluster.kubectl("create", "rolebinding", name, "-n", namespace, f"--role={LOGS}", account)
        if "bilgepump-report-reader" in roles:
            role = "--role=bilgepump-report-reader"
            cluster.kubectl("create", "rolebinding", person, "-n", CONTROLLER_NAMESPACE, role, account)
    yield People(cluster, seen, tmp_path_factory.mktemp("reports"))
    for person in PERSONS:
        cluster.kubectl("delete", "rolebinding", person, "-n", CONTROLLER_NAMESPACE, "--ignore-not-found")


def test_who_may_get_the_incident_reads_its_story(people: People) -> None:
    fetched = people.fetch("ana")

    assert fetched.code == 0, fetched.said
    for part in ("What happened", "Memory", "Likely cause", "Three answers", "Decision trail", "Timeline"):
        assert f">{part}" in fetched.page
    assert "Before and after" in fetched.page
    assert people.seen.status["recovery"]["message"] in fetched.page
    assert '<svg class="plot wide"' in fetched.page


def test_files_come_with_the_report_and_are_those_of_the_incident(people: People) -> None:
    files = people.fetch("olga").files

    kept = [one for one in people.seen.status["evidence"] if one.get("uri")]
    assert kept
    for one in kept:
        content = files[one["uri"].rpartition("/")[2]]
        assert hashlib.sha256(content).hexdigest() == one["sha256"]


def test_log_lines_are_for_those_who_may_read_logs(people: People) -> None:
    without, fetched = people.fetch("ana"), people.fetch("olga")

    assert (without.code, fetched.code) == (0, 0), (without.said, fetched.said)
    (log,) = (name for name in fetched.files if name.startswith("late-") and name.endswith("-log.txt"))
    line = fetched.files[log].decode().splitlines()[-1]
    assert html.escape(line, quote=True).replace("&quot;", "&#34;") in fetched.page
    assert line not in html.unescape(without.page)
    assert log in without.page
    assert f"{log} needs the right to get pods/log" in without.said
    assert not [name for name in without.files if name.endswith("log.txt") or "with-logs" in name]


def test_what_the_replica_told_is_in_the_report(people: People) -> None:
    page = people.fetch("ana").page

    assert ">What the replica told</h2>" in page
    assert "Pulled" in page or "Started" in page or "ScalingReplicaSet" in page
    assert "events: the API server refused" not in page


def test_who_may_not_get_the_incident_reads_nothing(people: People) -> None:
    fetched = people.fetch("bob")

    assert (fetched.code, fetched.page, fetched.files) == (1, "", {})
    assert f"may not get memoryincidents.bilgepump.dev {people.seen.namespace}/" in fetched.said
    assert "bilgepump-view" in fetched.said


def test_without_the_way_to_the_controller_the_role_is_named(people: People) -> None:
    fetched = people.fetch("eve")

    assert (fetched.code, fetched.page) == (1, "")
    assert "Role bilgepump-report-reader" in fetched.said


def test_certificate_is_not_enough_and_a_token_beside_it_is(people: People) -> None:
    without = people.fetch("admin")
    assert without.code == 1
    assert "kubectl create token" in without.said

    assert people.fetch("admin", "--token", people.token("ana")).code == 0
    forged = people.fetch("admin", "--token", "forged")
    assert (forged.code, forged.page) == (1, "")
    assert "does not know this token" in forged.said


def test_absent_controller_is_told(people: People) -> None:
    fetched = people.fetch("admin", "--token", "any", "--controller", f"{CONTROLLER_NAMESPACE}/nobody")

    assert fetched.code == 1
    assert "no controller at" in fetched.said


def test_incident_and_event_name_the_report(people: People) -> None:
    wide = people.cluster.kubectl("get", "memi", "-n", people.seen.namespace, "-o", "wide").stdout
    assert "report.html" in wide
    told = [one["message"] for one in events(people.cluster, people.seen.namespace)]
    assert any(f"bilgepump report {people.incident} -n {people.seen.namespace}" in one for one in told)
