"""The controller reads what the chart writes."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from controller.clients.notifications.settings import SlackSettings
from controller.clients.s3_evidence import S3Location
from controller.decision.situation import Limits
from controller.reporting.messages import Urgency
from controller.settings import Settings, read_settings
from tests.chart.rendering import CHART, URL, helm, of_kind, render

pytestmark = pytest.mark.go

KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
EVERYTHING = (
    URL,
    "prometheus.headers.X-Scope-OrgID=shop",
    "prometheus.basicAuth.username=ops",
    "prometheus.basicAuth.passwordFile=/secrets/password",
    "prometheus.caFile=/secrets/ca.pem",
    "metricsSources[0].name=mimir",
    "metricsSources[0].url=https://mimir.example.com",
    "watchNamespaces={shop,bank}",
    "capture.enabled=false",
    "capture.logs.enabled=false",
    "capture.logs.lines=50",
    "capture.logs.maximumBytes=16Ki",
    "remediate.enabled=true",
    "suspend=true",
    "allowShortLookback=true",
    "sweepInterval=5s",
    "limits.concurrentRemediations=3",
    "limits.concurrentRemediationsPerNamespace=2",
    "limits.concurrentRemediationsPerNode=2",
    "limits.remediationsPerHour=10",
    "limits.looksBeforeActing=4",
    "limits.storm.percent=50",
    "limits.storm.workloads=7",
    "limits.storm.period=2h",
    "incidents.keep=9",
    "evidence.maximumBytes=2Gi",
    "evidence.maximumAge=24h",
    "evidence.maximumBaselines=7",
    "evidence.s3.bucket=evidence-of-ours",
    "evidence.s3.prefix=clusters/eu-1",
    "evidence.s3.region=eu-west-1",
    f"evidence.s3.kmsKeyArn={KEY}",
    "evidence.s3.endpointUrl=https://minio.example.com",
    "evidence.s3.credentialsSecret=minio",
    "lease.durationSeconds=30",
    "notifications.cluster=prod",
    "notifications.maximumAge=30m",
    "notifications.receivers[0].name=shop",
    "notifications.receivers[0].type=Slack",
    "notifications.receivers[0].tokenFile=/etc/bilgepump-notifications/slack",
    "notifications.receivers[0].channel=C0SHOP",
    "notifications.routes[0].receivers={shop}",
    "notifications.routes[0].atLeast=Warning",
    "notifications.routes[0].policyLabels.team=shop",
)


def settings_of(path: Path, *values: str) -> Settings:
    (configuration,) = of_kind(render(*values), "ConfigMap")
    path.write_text(configuration["data"]["settings.yaml"])
    return read_settings(path)


def test_every_value_arrives(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "settings.yaml", *EVERYTHING)
    default, mimir = settings.metrics_sources
    assert (default.name, default.url) == ("default", "http://prometheus.monitoring:9090")
    assert default.prometheus.headers == (("X-Scope-OrgID", "shop"),)
    assert default.basic_auth is not None
    assert default.basic_auth.password_file == Path("/secrets/password")
    assert default.ca_file == Path("/secrets/ca.pem")
    assert default.maximum_response_bytes == 64 * 2**20
    assert (mimir.name, mimir.url) == ("mimir", "https://mimir.example.com")
    assert settings.watch_namespaces == ("shop", "bank")
    assert (settings.powers.capture, settings.powers.remediate) == (False, True)
    assert (settings.suspend, settings.allow_short_lookback) == (True, True)
    assert settings.sweep_interval == timedelta(seconds=5)
    assert settings.limits.over_all_policies == Limits(
        concurrent=3,
        concurrent_in_namespace=2,
        concurrent_on_node=2,
        per_hour=10,
        looks=4,
        storm_ratio=0.5,
        storm_workloads=7,
        storm_period=timedelta(hours=2),
    )
    assert settings.incidents.keep == 9
    assert (settings.evidence.maximum_bytes, settings.evidence.maximum_age) == (2**31, timedelta(hours=24))
    assert settings.evidence.maximum_baselines == 7
    logs = settings.evidence.logs
    assert (logs.enabled, logs.lines, logs.maximum_bytes) == (False, 50, 16 * 2**10)
    assert logs.limits.lines == 0
    assert settings.evidence.s3 is not None
    assert settings.evidence.s3.location == S3Location(
        bucket="evidence-of-ours", prefix="clusters/eu-1/", kms_key_arn=KEY
    )
    assert settings.evidence.s3.region == "eu-west-1"
    assert settings.evidence.s3.endpoint_url == "https://minio.example.com"
    assert settings.lease.duration_seconds == 30
    assert (settings.notifications.cluster, settings.notifications.maximum_age) == (
        "prod",
        timedelta(minutes=30),
    )
    (slack,) = settings.notifications.receivers
    assert isinstance(slack, SlackSettings)
    assert slack.token_file == Path("/etc/bilgepump-notifications/slack")
    (route,) = settings.notifications.flat_routes
    assert (route.receiver, route.at_least) == ("shop", Urgency.WARNING)
    assert route.policy_labels == (("team", "shop"),)


def test_secret_of_notifications_is_mounted_where_receivers_look() -> None:
    (deployment,) = of_kind(render(URL, "notifications.secretName=tokens"), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "notifications")
    assert volume["secret"] == {"secretName": "tokens", "defaultMode": 0o440}
    mounts = {one["name"]: one for one in pod["containers"][0]["volumeMounts"]}
    assert mounts["notifications"]["mountPath"] == "/etc/bilgepump-notifications"
    assert mounts["notifications"]["readOnly"] is True


def test_defaults_change_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "settings.yaml", URL)
    assert not settings.powers.remediate
    assert not settings.allow_short_lookback
    assert not settings.suspend
    assert settings.watch_namespaces == ()
    assert settings.notifications.flat_routes == ()


def test_no_metrics_source_is_no_error(tmp_path: Path) -> None:
    assert settings_of(tmp_path / "settings.yaml").metrics_sources == ()


@pytest.mark.parametrize("extra", [(), ("fullnameOverride=pump",)])
def test_names_agree_between_settings_roles_and_pod(tmp_path: Path, extra: tuple[str, ...]) -> None:
    """The controller may touch exactly its own lease, and knows its own Deployment."""
    settings = settings_of(tmp_path / "settings.yaml", URL, *extra)
    objects = render(URL, *extra)
    (role,) = (role for role in of_kind(objects, "Role") if role["metadata"]["name"].endswith("-lease"))
    assert role["rules"][1]["resourceNames"] == [settings.lease.name]
    (deployment,) = of_kind(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert environment["DEPLOYMENT_NAME"] == deployment["metadata"]["name"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert Path(mounts["evidence"]) == settings.evidence.directory
    assert [port["containerPort"] for port in container["ports"]] == [
        settings.http.port,
        settings.http.report_port,
    ]
    assert Path(container["args"][-1]).parent == Path(mounts["settings"])


@pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_can_be_read(values: Path, tmp_path: Path) -> None:
    text = helm(
        "template",
        "bilgepump",
        str(CHART),
        "--values",
        str(values),
        "--show-only",
        "templates/configmap.yaml",
    )
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_load(text)["data"]["settings.yaml"])
    assert read_settings(path).metrics_sources
