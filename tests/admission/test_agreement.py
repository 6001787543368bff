"""
The API server and the controller agree on which policies are good.

Every field of some good policies is replaced by every odd value in turn. A difference would be a policy that
is admitted and then not accepted, or one that works without a cluster and is rejected by it.
"""

import copy
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from controller.policy.parsing import parse_policy
from tests.cluster.cluster import Cluster
from tests.policy.corpus import POLICIES, read

pytestmark = pytest.mark.apiserver

ABSENT = object()
ODD_VALUES: tuple[Any, ...] = (
    *(ABSENT, "", 0, -1, 1.5, True, 10**12, 2**31, [], {}, ["a", "a"], [1]),
    *("x", "X y", "a" * 64, "a" * 254),
    *("0s", "1h1h", "0001h", "9999h", "99999m", "24h", "24h1s", "720h", "721h", "1h\n"),
    *("100Mi", "0.5Mi", "1048576", "1e6", "24:00", "23:59\n", "UTC", "Etc/GMT+5"),
    *("/debug/pprof/", "//debug/pprof", "/a.b/debug/pprof", "/.a/debug/pprof"),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside `value`."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copied = copy.deepcopy(document)
    parent: Any = copied
    for key in path[:-1]:
        parent = parent[key]
    if value is ABSENT:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return copied


class Admission:
    """Asks the API server without storing anything, over one connection: kubectl would take an hour."""

    def __init__(self, cluster: Cluster) -> None:
        layout = cluster.layout
        tls = ssl.create_default_context(cafile=layout.certificate("ca"))
        tls.load_cert_chain(layout.certificate("admin"), layout.key("admin"))
        self._connection = http.client.HTTPSConnection(
            urlsplit(layout.server).netloc, context=tls, timeout=30
        )

    def answer(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = "/apis/bilgepump.dev/v1alpha1/namespaces/shop/memorypolicies?dryRun=All&fieldValidation=Strict"
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", path, body=json.dumps(document), headers=headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.parametrize("stem", ["everything", "by-name", "at-the-bounds", "ecs"])
def test_api_server_and_controller_accept_the_same_policies(installed: Cluster, stem: str) -> None:
    admission, good = Admission(installed), read(POLICIES / "good" / f"{stem}.yaml")
    differences = []
    for path in paths(good["spec"]):
        for value in ODD_VALUES:
            document = changed(good, ("spec", *path), value)
            status, stored = admission.answer(document)
            parsed = parse_policy(document, allow_short_lookback=True)
            if (status == 201) is isinstance(parsed, tuple):
                differences.append((path, value, stored.get("message"), parsed))
            elif status == 201:
                stored["metadata"] = document["metadata"]
                assert parse_policy(stored, allow_short_lookback=True) == parsed
            else:
                assert status in (400, 422), stored
    # The API server has no list of time zones.
    assert [difference for difference in differences if difference[0][-1] != "timeZone"] == []
