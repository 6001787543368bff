"""Every command that speaks to a cluster takes the same words for which one, and goes there."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from controller.cli.kubectl import complete
from controller.cli.main import BY_HAND, main
from tests.cli.test_report import ApiServer
from tests.cli.test_report import api as api

ARGUMENTS = {
    "leaks": (),
    "explain": ("deploy/api", "--prometheus", "http://127.0.0.1:9"),
    "capture": ("deploy/api", "--why", "x", "--wait", "0s"),
    "restart": ("deploy/api", "--why", "x", "--wait", "0s"),
    "approve": ("api-1",),
    "acknowledge": ("api-1", "--why", "x"),
    "pause": ("deploy/api", "--why", "x"),
    "resume": ("deploy/api",),
    "report": ("api-1", "--token", "t"),
    "open": ("api-1", "--token", "t"),
}


@pytest.fixture
def kubeconfig(api: ApiServer, tmp_path: Path) -> str:
    """Its current context leads nowhere; the one called `there` to the server, in namespace `elsewhere`."""
    servers = {"nowhere": "http://127.0.0.1:9", "there": f"http://127.0.0.1:{api.server_address[1]}"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "nowhere",
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": "u", "namespace": "elsewhere"}}
            for name in servers
        ],
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
        "users": [{"name": "u", "user": {"token": "mine"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_every_command_by_hand_is_tried() -> None:
    assert ARGUMENTS.keys() == BY_HAND.keys()


@pytest.mark.parametrize("word", sorted(ARGUMENTS))
@pytest.mark.parametrize(
    ("options", "namespace"), [((), "elsewhere"), (("-n", "given"), "given")], ids=["context's", "given"]
)
def test_command_goes_to_the_cluster_and_namespace_it_was_told(
    word: str, options: tuple[str, ...], namespace: str, api: ApiServer, kubeconfig: str
) -> None:
    where = ("--kubeconfig", kubeconfig, "--context", "there", *options)
    result = CliRunner().invoke(main, [word, *ARGUMENTS[word], *where])

    assert result.exit_code == 1, result.output  # the server has nothing, and says so
    assert any(f"/{namespace}/" in path for path in api.asked), api.asked


@pytest.mark.parametrize("word", sorted(ARGUMENTS))
def test_kubectl_completes_where(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl_complete-bilgepump", word, "--"])
    complete()
    offered = {line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()}
    assert {"--namespace", "--context", "--kubeconfig"} <= offered
