import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from controller.cli.main import main

PROXY = "/api/v1/namespaces/bilgepump/services/http:bilgepump:reports/proxy"
INCIDENT = f"{PROXY}/incidents/shop/api-1"
HEAP = b"\x1f\x8b heap"


class ApiServer(ThreadingHTTPServer):
    """Answers with what it was given by path, as the API server's service proxy would."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, bytes] = {}
        self.refusal: tuple[int, str] | None = None
        self.refusals: dict[str, tuple[int, str]] = {}
        self.tokens: list[str | None] = []
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.tokens.append(self.headers["X-Bilgepump-Token"])
        if refusal := self.server.refusal or self.server.refusals.get(self.path):
            status, message = refusal
            content = json.dumps({"kind": "Status", "message": message}).encode()
        else:
            content = self.server.answers.get(self.path, b"")
            status = 200 if content else 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_GET  # noqa: N815  (the base class's names)

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sums = f"{hashlib.sha256(HEAP).hexdigest()}  late-heap.pb.gz\n".encode()
        server.answers = {
            f"{INCIDENT}/report": b"<p>report</p>",
            f"{INCIDENT}/files/SHA256SUMS": sums,
            f"{INCIDENT}/files/late-heap.pb.gz": HEAP,
        }
        yield server
        server.shutdown()


@pytest.fixture
def ask(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Ask":
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BILGEPUMP_TOKEN", raising=False)
    return Ask(api, tmp_path)


class Ask:
    """`bilgepump report` with a kubeconfig of its own."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self._server = f"http://127.0.0.1:{api.server_address[1]}"
        self._folder = folder

    def __call__(self, *options: str, user: dict[str, object] | None = None) -> Result:
        config = self._folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "c", "cluster": {"server": self._server}}],
            "users": [{"name": "u", "user": {"token": "mine"} if user is None else user}],
        }
        config.write_text(yaml.safe_dump(document))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
            return CliRunner().invoke(main, ["report", "api-1", *options])


def test_report_is_written_beside_and_shows_the_kubeconfigs_token(ask: Ask, api: ApiServer) -> None:
    result = ask()

    assert result.exit_code == 0, result.output
    assert Path("api-1.html").read_bytes() == b"<p>report</p>"
    assert api.tokens == ["mine"]


def test_token_of_a_plugin_is_shown(ask: Ask, api: ApiServer, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n")
    plugin.chmod(0o755)
    exec_plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }

    assert ask(user={"exec": exec_plugin}).exit_code == 0
    assert api.tokens == ["from-plugin"]


def test_report_can_be_printed(ask: Ask) -> None:
    assert ask("--out", "-").output == "<p>report</p>"


def test_files_are_checked_and_kept(ask: Ask) -> None:
    assert ask("--files", "evidence").exit_code == 0
    assert Path("evidence/late-heap.pb.gz").read_bytes() == HEAP


def test_log_lines_that_are_not_for_you_are_left_out(ask: Ask, api: ApiServer) -> None:
    log = "late-api-1-app-log.txt"
    api.answers[f"{INCIDENT}/files/SHA256SUMS"] += f"{'0' * 64}  {log}\n".encode()
    api.refusals[f"{INCIDENT}/files/{log}"] = (403, f"{log} needs the right to get pods/log in shop")

    result = ask("--files", "evidence")

    assert result.exit_code == 0
    assert "needs the right to get pods/log in shop" in result.output
    assert [path.name for path in Path("evidence").iterdir()] == ["late-heap.pb.gz"]


def test_file_that_is_not_what_it_should_be_is_not_kept(ask: Ask, api: ApiServer) -> None:
    api.answers[f"{INCIDENT}/files/late-heap.pb.gz"] = b"changed on the way"

    result = ask("--files", "evidence")

    assert result.exit_code == 1
    assert "not what its SHA-256 says" in result.output
    assert not list(Path("evidence").iterdir())


@pytest.mark.parametrize("name", ["../outside", ".bashrc", "/etc/passwd", "a b", ""])
def test_name_that_leads_elsewhere_is_refused(ask: Ask, api: ApiServer, name: str) -> None:
    api.answers[f"{INCIDENT}/files/SHA256SUMS"] = f"{'0' * 64}  {name}\n".encode()

    result = ask("--files", "evidence")

    assert result.exit_code == 1
    assert "something else than checksums" in result.output


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (401, "Unauthorized", "log in again"),
        (403, 'services "http:bilgepump:reports" is forbidden', "Role bilgepump-report-reader"),
        (403, "ana may not get memoryincidents.bilgepump.dev shop/api-1", "role bilgepump-view in shop"),
        (404, 'services "bilgepump" not found', "no controller at bilgepump/bilgepump"),
        (404, "incident shop/api-1 has no report", "kubectl get memi -n shop"),
        (503, 'no endpoints available for service "http:bilgepump:reports"', "is it running"),
        (500, "something broke", "something broke"),
    ],
)
def test_refusal_says_what_to_do(ask: Ask, api: ApiServer, status: int, message: str, told: str) -> None:
    api.refusal = (status, message)

    result = ask()

    assert result.exit_code == 1
    assert message in result.output
    assert told in result.output
    assert not Path("api-1.html").exists()


def test_client_certificate_alone_is_explained(ask: Ask) -> None:
    result = ask(user={})

    assert result.exit_code == 1
    assert "kubectl create token" in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--controller", "bilgepump"),
        ("-n", "Shop/../x"),
        ("--out", "-", "--open"),
        ("--state", ".", "--context", "c"),
    ],
    ids=["a Service without a namespace", "no namespace", "a browser for standard output", "no cluster"],
)
def test_wrong_usage_is_told_as_such(ask: Ask, options: tuple[str, ...]) -> None:
    assert ask(*options).exit_code == 2
