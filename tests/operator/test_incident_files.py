from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from controller.clients.s3_evidence import S3EvidenceStore, S3Location
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.evidence.retention import EvidenceLimits
from controller.operator.endpoints import serve
from controller.operator.incident_files import TOKEN_HEADER, IncidentFiles
from controller.platforms.kubernetes.reviewer import Access, Review
from controller.ports import EvidenceUnavailable, PlatformUnavailable
from tests.clients.test_evidence_store import a_bucket, store_client
from tests.ecs.cloud import moto_server
from tests.fakes import NOW

ALLOWED = {"Authorization": "Bearer on-call"}
PAGE, HEAP = b"<!doctype html><p>report</p>", b"\x1f\x8b heap"


class FakeReviewer:
    """`on-call` may read the incident shop/api-1, `stranger` is known and may not."""

    def __init__(self) -> None:
        self.down = False
        self.logs = False
        self.asked: list[tuple[str, str, str]] = []

    async def may_read_logs(self, token: str, namespace: str) -> Review:
        self.asked.append((token, namespace, "pods/log"))
        return Review(Access.ALLOWED if self.logs else Access.FORBIDDEN, token)

    async def may_get(self, token: str, namespace: str, incident: str) -> Review:
        self.asked.append((token, namespace, incident))
        if self.down:
            raise PlatformUnavailable("the API server went away")
        if token not in ("on-call", "stranger"):
            return Review(Access.UNKNOWN_TOKEN)
        mine = token == "on-call" and namespace in ("shop", "baselines")
        return Review(Access.ALLOWED if mine else Access.FORBIDDEN, token)


class Served:
    """What is asked over a real socket."""

    def __init__(
        self, port: int, folder: Path, reviewer: FakeReviewer, client: aiohttp.ClientSession
    ) -> None:
        self._port, self.folder, self.reviewer, self._client = port, folder, reviewer, client

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        url = URL(f"http://127.0.0.1:{self._port}{path}", encoded=True)
        async with self._client.get(url, headers=headers, auto_decompress=False) as answer:
            return answer.status, await answer.read(), dict(answer.headers)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    store = VolumeEvidenceStore(tmp_path / "store", EvidenceLimits())
    store.write("shop/api-1", "report.html", PAGE, NOW)
    store.write("shop/api-1", "late-heap.pb.gz", HEAP, NOW)
    store.write("bank/api-2", "report.html", b"another's", NOW)
    store.write("baselines/bank/abc-app", "baseline-heap.pb.gz", b"another's", NOW)
    (tmp_path / "secret").write_text("not evidence")
    (tmp_path / "store" / "shop" / "api-1" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "store" / "shop" / "api-1" / ".writing-x").write_text("half")
    reviewer = FakeReviewer()
    runner = await serve(IncidentFiles(store, reviewer).routes(), address="127.0.0.1", port=0)
    async with aiohttp.ClientSession() as client:
        yield Served(runner.addresses[0][1], tmp_path, reviewer, client)
    await runner.cleanup()


@pytest.mark.parametrize(
    "headers",
    [ALLOWED, {TOKEN_HEADER: "on-call"}, {"Authorization": "bearer on-call"}],
    ids=["as usual", "through the service proxy", "in small letters"],
)
async def test_who_may_get_the_incident_reads_its_report(served: Served, headers: dict[str, str]) -> None:
    status, body, answered = await served.get("/incidents/shop/api-1/report", **headers)

    assert (status, body) == (200, PAGE)
    assert answered["Content-Type"] == "text/html; charset=utf-8"
    assert answered["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answered["Content-Security-Policy"]
    assert "sandbox" in answered["Content-Security-Policy"]
    assert served.reviewer.asked == [("on-call", "shop", "api-1"), ("on-call", "shop", "pods/log")]


@pytest.mark.parametrize(("may", "page"), [(False, PAGE), (True, b"with log lines")])
async def test_log_lines_are_for_those_who_may_read_logs(served: Served, may: bool, page: bytes) -> None:
    folder = served.folder / "store" / "shop" / "api-1"
    (folder / "report-with-logs.html").write_bytes(b"with log lines")
    (folder / "late-api-1-app-log.txt").write_bytes(b"a line")
    served.reviewer.logs = may

    assert (await served.get("/incidents/shop/api-1/report", **ALLOWED))[:2] == (200, page)
    for name in ("late-api-1-app-log.txt", "report-with-logs.html"):
        status, body, _ = await served.get(f"/incidents/shop/api-1/files/{name}", **ALLOWED)
        assert status == (200 if may else 403)
        assert may or b"pods/log in shop" in body


async def test_profile_is_sent_as_it_is_kept(served: Served) -> None:
    headers = {**ALLOWED, "Accept-Encoding": "gzip"}
    status, body, answered = await served.get("/incidents/shop/api-1/files/late-heap.pb.gz", **headers)

    assert (status, body) == (200, HEAP)
    assert "Content-Encoding" not in answered
    assert answered["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nobody"),
        pytest.param({"Authorization": "Bearer forged"}, 401, id="an unknown token"),
        pytest.param({"Authorization": "Basic b24tY2FsbA=="}, 401, id="another scheme"),
        pytest.param({TOKEN_HEADER: "on call"}, 401, id="no token at all"),
        pytest.param({TOKEN_HEADER: "stranger"}, 403, id="somebody else"),
    ],
)
async def test_others_are_told_why_not_and_nothing_more(
    served: Served, headers: dict[str, str], status: int
) -> None:
    for path in ("report", "files/late-heap.pb.gz", "files/no-such-file"):
        answer, body, answered = await served.get(f"/incidents/shop/api-1/{path}", **headers)
        assert answer == status
        assert b'"kind": "Status"' in body
        assert PAGE not in body
        assert HEAP not in body
        assert ("WWW-Authenticate" in answered) == (status == 401)


async def test_right_in_one_namespace_is_none_in_another(served: Served) -> None:
    status, body, _ = await served.get("/incidents/bank/api-2/report", **ALLOWED)

    assert status == 403
    assert b"bank/api-2" in body


@pytest.mark.parametrize(
    "path",
    [
        "/incidents/shop/api-1/files/..%2F..%2F..%2Fsecret",
        "/incidents/shop/api-1/files/%2e%2e",
        "/incidents/shop/api-1/files/link",
        "/incidents/shop/api-1/files/.writing-x",
        "/incidents/shop/api-1/files/",
        "/incidents/shop/api-1/files",
        "/incidents/shop/api-1/",
        "/incidents/shop/api-1/files/late-heap.pb.gz%00",
        "/incidents/shop/..%2Fbank%2Fapi-2/report",
        "/incidents/baselines/bank%2Fabc-app/files/baseline-heap.pb.gz",
        "/incidents/shop/no-such-incident/report",
    ],
)
async def test_nothing_else_is_served(served: Served, path: str) -> None:
    status, body, _ = await served.get(path, **ALLOWED)

    assert status in (403, 404)
    assert b"not evidence" not in body
    assert b"another's" not in body
    assert b"half" not in body


async def test_store_that_does_not_answer_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise EvidenceUnavailable("S3 cannot be read: Could not connect to s3.internal")

    monkeypatch.setattr(VolumeEvidenceStore, "open", away)

    status, body, _ = await served.get("/incidents/shop/api-1/report", **ALLOWED)

    assert status == 503
    assert b"s3.internal" not in body


async def test_large_file_comes_whole(served: Served) -> None:
    content = bytes(range(256)) * 20_000
    (served.folder / "store" / "shop" / "api-1" / "large").write_bytes(content)

    status, body, answered = await served.get("/incidents/shop/api-1/files/large", **ALLOWED)

    assert (status, body) == (200, content)
    assert answered["Content-Length"] == str(len(content))


async def test_report_and_files_come_from_s3_too() -> None:
    content = bytes(range(256)) * 4000
    with moto_server() as url:
        location = S3Location(bucket=a_bucket(url), prefix="evidence/")
        store = S3EvidenceStore(store_client(url), location, EvidenceLimits())
        store.write("shop/api-1", "report.html", PAGE, NOW)
        store.write("shop/api-1", "late-heap.pb.gz", content, NOW)
        runner = await serve(IncidentFiles(store, FakeReviewer()).routes(), address="127.0.0.1", port=0)
        async with aiohttp.ClientSession() as client:
            served = Served(runner.addresses[0][1], Path(), FakeReviewer(), client)
            page = await served.get("/incidents/shop/api-1/report", **ALLOWED)
            heap = await served.get("/incidents/shop/api-1/files/late-heap.pb.gz", **ALLOWED)
            none = await served.get("/incidents/shop/api-1/files/other", **ALLOWED)
            outside = await served.get("/incidents/shop/api-1/files/..%2Fx", **ALLOWED)
        await runner.cleanup()

    assert page[:2] == (200, PAGE)
    assert (heap[0], heap[1], heap[2]["Content-Length"]) == (200, content, str(len(content)))
    assert (none[0], outside[0]) == (404, 404)


async def test_nobody_gets_in_while_the_api_server_is_away(served: Served) -> None:
    served.reviewer.down = True

    status, body, _ = await served.get("/incidents/shop/api-1/report", **ALLOWED)

    assert status == 503
    assert PAGE not in body
