"""`bilgepump report`: an incident's report and files, by the API server or from the state of ECS."""

import asyncio
import hashlib
import re
import sys
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from controller.cli.by_hand.access import Where, cluster_options
from controller.cli.options import PlaceParam, state_region_option
from controller.cli.report_state import CannotFetch, StateDesk
from controller.clients.reporter import CHECKSUMS, holds_log_lines
from controller.operator.incident_files import TOKEN_HEADER
from controller.platforms.ecs.place import StatePlace
from controller.platforms.kubernetes.api import ApiRefusal, KubernetesApi
from controller.ports import PlatformUnavailable

_CHECKSUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9._-]*)")
_SERVICE = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

_CERTIFICATE_ONLY = (
    "your kubeconfig has a client certificate and no token, and the controller cannot see a certificate: "
    'give the token of an account that may get the incident: --token "$(kubectl create token ACCOUNT)" '
    '(docs/start/kind.md, "Read the report", makes one)'
)


class LogsNotForYou(CannotFetch):
    """The file holds log lines, which need a right of their own; the rest is fetched all the same."""


Command = TypeVar("Command", bound=Callable[..., Any])


def reader_options(command: Command) -> Command:
    """How the controller is reached, and with which token."""
    token = click.option(
        "--token", envvar="BILGEPUMP_TOKEN", help="A token to show; the kubeconfig's if it is not given."
    )
    controller = click.option(
        "--controller",
        envvar="BILGEPUMP_CONTROLLER",
        default="bilgepump/bilgepump",
        show_default=True,
        metavar="NAMESPACE/SERVICE",
        help="Where the controller's Service is.",
    )
    return token(controller(command))


@click.command()
@click.argument("name")
@cluster_options
@click.option(
    "--out", metavar="FILE", help="Where the report is written; NAME.html if not given, - prints it."
)
@click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Fetch profiles too, into DIR, each checked by its SHA-256.",
)
@click.option("--open", "opened", is_flag=True, help="Open the report in a browser.")
@reader_options
@click.option(
    "--state",
    type=PlaceParam(),
    metavar="DIR|s3://BUCKET/PREFIX",
    help="Read them from the state of `bilgepump ecs` instead.",
)
@state_region_option
def report(
    name: str,
    where: Where,
    out: str | None,
    files: Path | None,
    opened: bool,
    token: str | None,
    controller: str,
    state: StatePlace | None,
    state_region: str,
) -> None:
    """
    Fetch the report of the MemoryIncident called NAME; `kubectl get memi` lists them.

    Whoever may get the incident may read its report; log lines stand in it for those who may read the logs of
    the namespace's pods. It goes through the API server's service proxy.

    Example: bilgepump report api-3f2a91c0de -n shop --open

    Example: bilgepump report api-3f2a91c0de -n shop --state s3://my-bucket/bilgepump

    Exit codes: 0 fetched, 1 could not be fetched, 2 wrong usage.
    """
    if not _SERVICE.fullmatch(controller):
        raise click.UsageError(f"--controller must be NAMESPACE/SERVICE (is '{controller}')")
    if not all(_NAME.fullmatch(each) for each in (name, where.given_namespace or "default")):
        raise click.UsageError("NAME and --namespace must be names of Kubernetes objects")
    if state is not None and where.cluster_given:
        raise click.UsageError("--state reads no cluster: leave --context and --kubeconfig away")
    if out == "-" and opened:
        raise click.UsageError("--open needs a file: leave --out - away")
    page = Path(out or f"{name}.html")
    try:
        desk: Desk = (
            StateDesk(state, state_region, name, where.given_namespace)
            if state is not None
            else _Desk(where.connect(), token, controller, f"{where.namespace}/{name}")
        )
        content = desk.get("report")
        if out == "-":
            sys.stdout.buffer.write(content)
        else:
            page.write_bytes(content)
            click.echo(page, err=True)
        if files is not None:
            _fetch_files(desk, files)
    except (CannotFetch, PlatformUnavailable, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if opened:
        webbrowser.open(page.resolve().as_uri())


class Desk(Protocol):
    """Where the files of one incident are."""

    def get(self, what: str) -> bytes:
        """`report`, or `files/` and a name. Raises CannotFetch, PlatformUnavailable."""
        ...


class _Desk:
    """Where the files of one incident are asked for."""

    def __init__(self, api: KubernetesApi, token: str | None, controller: str, incident: str) -> None:
        """`incident` is its namespace and name. Raises CannotFetch where there is no token to show."""
        self._api = api
        self._token = token or api.bearer_token
        self._controller = controller
        self._incident = incident
        if not self._token:
            raise CannotFetch(_CERTIFICATE_ONLY)

    def get(self, what: str) -> bytes:
        """`report`, or `files/` and a name. Raises CannotFetch, PlatformUnavailable."""
        namespace, service = self._controller.split("/")
        proxy = f"/api/v1/namespaces/{namespace}/services/http:{service}:reports/proxy"
        path = f"{proxy}/incidents/{self._incident}/{what}"
        try:
            return asyncio.run(self._api.fetch(path, {TOKEN_HEADER: self._token}))
        except ApiRefusal as refusal:
            if refusal.status == HTTPStatus.FORBIDDEN and holds_log_lines(what.removeprefix("files/")):
                raise LogsNotForYou(f"left out: {refusal}") from refusal
            raise CannotFetch(f"{refusal}\n{self._hint(refusal)}".rstrip()) from refusal

    def _hint(self, refusal: ApiRefusal) -> str:
        """What to do about it: the way to the controller, or the controller itself, may have refused."""
        namespace, service = self._controller.split("/")
        incidents = self._incident.partition("/")[0]
        on_the_way = "services" in str(refusal)
        match refusal.status:
            case 401:
                return "log in again, or give another --token"
            case 403 if on_the_way:
                return f"ask to be bound to the Role {service}-report-reader in namespace {namespace}"
            case 403:
                return f"it needs the right to get that MemoryIncident: role {service}-view in {incidents}"
            case 404 if on_the_way:
                return f"no controller at {self._controller}: --controller says where its Service is"
            case 404:
                return f"kubectl get memi -n {incidents} -o wide lists incidents and their reports"
            case 503:
                return f"is it running, with `reports.enabled`? kubectl get pods,services -n {namespace}"
            case _:
                return ""


def _fetch_files(desk: Desk, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sha256, name in _checksums(desk.get(f"files/{CHECKSUMS}")):
        try:
            content = desk.get(f"files/{name}")
        except LogsNotForYou as refusal:
            click.echo(refusal, err=True)
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CannotFetch(f"{name} is not what its SHA-256 says ({sha256}); nothing of it is kept")
        (folder / name).write_bytes(content)
        click.echo(folder / name, err=True)


def _checksums(content: bytes) -> list[tuple[str, str]]:
    """Pairs of SHA-256 and file name; anything else in the file is refused, since names become paths."""
    found = [_CHECKSUM.fullmatch(line) for line in content.decode("ascii", "replace").splitlines()]
    if any(match is None for match in found):
        raise CannotFetch(f"{CHECKSUMS} holds something else than checksums")
    return [(match.group(1), match.group(2)) for match in found if match]
