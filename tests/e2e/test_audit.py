"""What the controller asked of the API server, from the API server's own log."""

from __future__ import annotations

from tests.chart.test_permissions_page import grants_on_page
from tests.cluster.audit import WRITES, AuditEvent
from tests.demo.stage import CONTROLLER_NAMESPACE
from tests.e2e.performance import ON_STAGE, Performance
from tests.e2e.test_isolation import OBSERVED, observe

pytestmark = ON_STAGE

READS = frozenset({"get", "list", "watch"})
TELLING = frozenset(
    {
        "patch memorypolicies.bilgepump.dev/status",
        "create memoryincidents.bilgepump.dev",
        "patch memoryincidents.bilgepump.dev/status",
        "create events",
        "patch events",
    }
)
LEASE = "patch leases.coordination.k8s.io"
MARKS = frozenset({"kubectl.kubernetes.io/restartedAt", "bilgepump.dev/incident"})


def requests(performance: Performance) -> tuple[AuditEvent, ...]:
    """All of a session, when every story has ended."""
    performance.wait_for_all()
    found = performance.stage.requests(performance.since)
    assert found, "the audit log knows nothing of the controller"
    return found


def writes(performance: Performance) -> tuple[AuditEvent, ...]:
    return tuple(event for event in requests(performance) if event.verb in WRITES)


def documented() -> set[str]:
    """Every request that docs/permissions.md grants, as `AuditEvent.kind_of_write` words it."""
    return {
        f"{verb} {kind}{suffix}"
        for section in ("read", "capture", "remediate", "lease", "reports")
        for group, resources, _, verbs in grants_on_page(section)
        for resource in resources
        for verb in verbs
        for kind, suffix in [_apart(resource, group)]
    }


def _apart(resource: str, group: str) -> tuple[str, str]:
    name, slash, subresource = resource.partition("/")
    return f"{name}.{group}" if group else name, slash + subresource


def test_observing_writes_nothing_but_what_it_has_to_tell(performance: Performance) -> None:
    performance.seen(observe)
    told = {event.kind_of_write for event in writes(performance) if event.namespace == OBSERVED}
    assert "create memoryincidents.bilgepump.dev" in told
    assert told <= TELLING


def test_no_request_goes_beyond_the_documented_permissions(performance: Performance) -> None:
    asked = {event.kind_of_write for event in requests(performance) if event.resource}
    assert asked <= documented()


def test_no_request_is_forbidden(performance: Performance) -> None:
    assert [event.kind_of_write for event in requests(performance) if event.status_code == 403] == []


def test_beside_telling_it_writes_its_lease_and_restarts(performance: Performance) -> None:
    others = [event for event in writes(performance) if event.kind_of_write not in TELLING]
    leases = [event for event in others if event.resource == "leases"]
    restarts = [event for event in others if event.resource in ("deployments", "statefulsets")]
    pods = [event for event in others if event.resource == "pods"]
    assert {(event.namespace, event.name) for event in leases} == {(CONTROLLER_NAMESPACE, "bilgepump")}
    assert restarts
    assert {event.verb for event in restarts} == {"patch"}
    assert {event.kind_of_write for event in pods} <= {"patch pods", "delete pods", "create pods/eviction"}
    assert len(leases) + len(restarts) + len(pods) == len(others)


def test_restart_patches_carry_two_annotations_and_what_they_were_decided_on(
    performance: Performance,
) -> None:
    for event in writes(performance):
        if event.resource not in ("deployments", "statefulsets"):
            continue
        assert set(event.request_body) == {"metadata", "spec"}
        assert set(event.request_body["metadata"]) == {"uid", "resourceVersion"}
        template = event.request_body["spec"].pop("template")
        assert event.request_body["spec"] == {}
        assert set(template["metadata"].pop("annotations")) == MARKS
        assert template == {"metadata": {}}


def test_only_status_and_incidents_of_its_own_kinds_are_written(performance: Performance) -> None:
    policies = [event for event in writes(performance) if event.resource == "memorypolicies"]
    assert policies
    assert {event.subresource for event in policies} == {"status"}
    incidents = [event for event in writes(performance) if event.resource == "memoryincidents"]
    assert {(event.verb, event.subresource) for event in incidents} <= {("create", ""), ("patch", "status")}
