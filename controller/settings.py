"""
The controller's own settings: one YAML file, checked once when it is read.

The chart writes it from its values. Everything a policy must not be able to say stands here: where metrics
come from, with which credentials, and which powers the controller has at all.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from controller.clients.notifications.settings import NotificationSettings
from controller.clients.prometheus_session import PrometheusSettings
from controller.clients.s3_evidence import S3Location
from controller.decision.situation import Limits
from controller.evidence.replica_context import LogLimits
from controller.evidence.retention import EvidenceLimits
from controller.policy.ecs_access import EcsAccess, EcsRole
from controller.policy.syntax import AWS_REGION, CLOUDWATCH, ECS_NAME, ROLE_ARN
from controller.policy.units import parse_bytes, parse_duration
from controller.sweep.alerts import BlockingAlerts


class ConfigurationError(Exception):
    """The settings cannot be used; the message names field, value and what is allowed."""


def _duration(value: Any) -> timedelta:
    return parse_duration(value if isinstance(value, str) else str(value))


def _bytes(value: Any) -> int:
    return parse_bytes(str(value))


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
_Document = TypeVar("_Document", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class BasicAuth(_Section):
    """User name and the file that holds the password."""

    username: str
    password_file: Path


class MetricsSource(_Section):
    """One metrics source, by the name policies use."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    type: Literal["Prometheus"] = "Prometheus"
    url: str
    bearer_token_file: Path | None = None
    basic_auth: BasicAuth | None = None
    ca_file: Path | None = None
    headers: dict[str, SecretStr] = {}
    """A key may be among them: their values are not logged with the other settings."""
    timeout: Duration = timedelta(seconds=30)
    sample_interval: Duration = timedelta(seconds=30)
    maximum_response_bytes: Bytes = 64 * 2**20

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if problems := self.prometheus.problems():
            raise ValueError("; ".join(problems))
        return self

    @property
    def prometheus(self) -> PrometheusSettings:
        """The same, as the client takes it."""
        return PrometheusSettings(
            name=self.name,
            url=self.url,
            bearer_token_file=self.bearer_token_file,
            username=self.basic_auth.username if self.basic_auth else None,
            password_file=self.basic_auth.password_file if self.basic_auth else None,
            ca_file=self.ca_file,
            headers=tuple((name, value.get_secret_value()) for name, value in self.headers.items()),
            timeout_seconds=self.timeout.total_seconds(),
            sample_interval_seconds=self.sample_interval.total_seconds(),
            maximum_response_bytes=self.maximum_response_bytes,
        )


class EcsRoleSettings(_Section):
    """One IAM role that policies of some namespaces may name in `target.ecs`."""

    arn: str = Field(default="", pattern=rf"^({ROLE_ARN})?$")
    """Empty: the controller's own role."""
    namespaces: tuple[str, ...] = Field(min_length=1)
    clusters: tuple[Annotated[str, Field(pattern=rf"^{AWS_REGION}/{ECS_NAME}$")], ...] = ()
    """As `region/cluster`; empty for all that the role itself may see."""
    remediate: bool = True
    """Whether it may also be used to act, and not only to look."""


class CloudWatchSettings(_Section):
    """The metrics source for ECS that is called `cloudwatch`."""

    sample_interval: Duration = timedelta(seconds=60)


class EcsSettings(_Section):
    """Amazon ECS. Without a role no policy may look at it."""

    roles: tuple[EcsRoleSettings, ...] = ()
    cloudwatch: CloudWatchSettings = CloudWatchSettings()
    allow_loopback: bool = False
    """Profiles may be taken from tasks on 127.0.0.0/8: for demonstrations and tests."""

    @property
    def access(self) -> EcsAccess:
        """Who may use which role."""
        return EcsAccess(
            tuple(
                EcsRole(
                    arn=role.arn,
                    namespaces=role.namespaces,
                    clusters=role.clusters,
                    remediate=role.remediate,
                )
                for role in self.roles
            )
        )


class RolloutSettings(_Section):
    """Argo Rollouts."""

    enabled: bool = False
    """They are workloads as Deployments are: the controller has the rights for them."""


class PowerSettings(_Section):
    """What this installation may do at all."""

    capture: bool = True
    remediate: bool = False


class StormSettings(_Section):
    """When leaks are so many at once that it is no leak: above that share, and at least so many."""

    percent: int = Field(default=30, ge=1, le=100)
    workloads: int = Field(default=5, ge=1, le=10000)
    period: Duration = Field(default=timedelta(hours=1), gt=timedelta())


class BlockingAlertSettings(_Section):
    """Alerts that hold every remediation while they fire: those whose whole name matches."""

    source: str = "default"
    pattern: str = ""
    """A regular expression; empty: no alert holds."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(
                f"`pattern` is not a regular expression: {error} (is {self.pattern!r})"
            ) from error
        return self

    @property
    def rule(self) -> BlockingAlerts:
        """The same, as sweeps take it."""
        return BlockingAlerts(source=self.source, pattern=re.compile(self.pattern) if self.pattern else None)


class LimitSettings(_Section):
    """Limits over all policies together."""

    concurrent_remediations: int = Field(default=1, ge=1, le=100)
    concurrent_remediations_per_namespace: int = Field(default=1, ge=1, le=100)
    concurrent_remediations_per_node: int = Field(default=1, ge=1, le=100)
    remediations_per_hour: int = Field(default=6, ge=1, le=1000)
    looks_before_acting: int = Field(default=2, ge=1, le=60)
    storm: StormSettings = StormSettings()

    @property
    def over_all_policies(self) -> Limits:
        """The same, as decisions take them."""
        return Limits(
            concurrent=self.concurrent_remediations,
            concurrent_in_namespace=self.concurrent_remediations_per_namespace,
            concurrent_on_node=self.concurrent_remediations_per_node,
            per_hour=self.remediations_per_hour,
            looks=self.looks_before_acting,
            storm_ratio=self.storm.percent / 100,
            storm_workloads=self.storm.workloads,
            storm_period=self.storm.period,
        )


class IncidentSettings(_Section):
    """How many closed incidents of a workload are kept."""

    keep: int = Field(default=50, ge=1, le=1000)


class S3Settings(_Section):
    """A bucket for evidence, instead of a volume."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: str = Field(default="", pattern=r"^([A-Za-z0-9._-]+/)*[A-Za-z0-9._-]*$")
    """Below which keys; a slash is added at its end."""
    region: str = ""
    """Empty: where boto3 finds one (AWS_REGION)."""
    kms_key_arn: str = Field(default="", pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+)?$")
    """Empty: the bucket's own default encryption."""
    endpoint_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    """For stores that speak S3 and are not AWS."""

    @property
    def location(self) -> S3Location:
        """The same, as the store takes it."""
        prefix = f"{self.prefix.rstrip('/')}/" if self.prefix else ""
        return S3Location(bucket=self.bucket, prefix=prefix, kms_key_arn=self.kms_key_arn)


class LogSettings(_Section):
    """
    How much of a container's log an incident keeps.

    A setting of the controller, not of a policy: the right to read logs is the chart's to give, and taking it
    back takes effect whatever policies say.
    """

    enabled: bool = True
    lines: int = Field(default=200, ge=1, le=10_000)
    maximum_bytes: Bytes = 64 * 2**10

    @property
    def limits(self) -> LogLimits:
        """The same, as the platform takes it."""
        return LogLimits(lines=self.lines if self.enabled else 0, maximum_bytes=self.maximum_bytes)


class EvidenceSettings(_Section):
    """Where evidence is kept, how much and how long."""

    directory: Path = Path("/var/lib/bilgepump/evidence")
    s3: S3Settings | None = None
    """A bucket instead of the directory."""
    maximum_bytes: Bytes = 2**30
    maximum_age: Duration = timedelta(hours=720)
    maximum_baselines: int = Field(default=1000, ge=1, le=100_000)
    """One for each image that runs, container and namespace."""
    logs: LogSettings = LogSettings()

    @property
    def limits(self) -> EvidenceLimits:
        """The same, as the store takes it."""
        return EvidenceLimits(
            maximum_bytes=self.maximum_bytes,
            maximum_age=self.maximum_age,
            maximum_baselines=self.maximum_baselines,
        )


class HttpSettings(_Section):
    """Where /livez, /readyz and /metrics are served, and on a port of their own incidents' reports."""

    address: str = "0.0.0.0"  # noqa: S104  (probes and scrapes come from outside the pod)
    port: int = Field(default=8080, ge=1, le=65535)
    report_port: int | None = Field(default=None, ge=1, le=65535)
    """None: reports are not served."""


class LeaseSettings(_Section):
    """The Lease that makes one replica the acting one."""

    name: str = "bilgepump"
    duration_seconds: int = Field(default=15, ge=3, le=300)


class Settings(_Section):
    """Everything."""

    metrics_sources: tuple[MetricsSource, ...] = ()
    watch_namespaces: tuple[str, ...] = ()
    """Empty means every namespace."""
    sweep_interval: Duration = Field(default=timedelta(seconds=60))
    allow_short_lookback: bool = False
    suspend: bool = False
    powers: PowerSettings = PowerSettings()
    limits: LimitSettings = LimitSettings()
    blocking_alerts: BlockingAlertSettings = BlockingAlertSettings()
    incidents: IncidentSettings = IncidentSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    http: HttpSettings = HttpSettings()
    lease: LeaseSettings = LeaseSettings()
    notifications: NotificationSettings = NotificationSettings()
    ecs: EcsSettings = EcsSettings()
    rollouts: RolloutSettings = RolloutSettings()

    @property
    def metrics_namespaces(self) -> frozenset[str]:
        """The namespaces in the names of in-cluster metrics sources: `prometheus.monitoring[.svc…]`."""
        hosts = (urlsplit(source.url).hostname or "" for source in self.metrics_sources)
        named = (host.split(".") for host in hosts if not host.replace(".", "").isdigit())
        return frozenset(parts[1] for parts in named if len(parts) == 2 or parts[2:3] == ["svc"])

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [source.name for source in self.metrics_sources]
        if len(set(names)) < len(names):
            raise ValueError(f"`metricsSources` must have different names (are {', '.join(names)})")
        if self.ecs.roles and CLOUDWATCH in names:
            raise ValueError(
                f"`metricsSources` must not name `{CLOUDWATCH}`: with `ecs.roles` that is built in"
            )
        if self.sweep_interval < timedelta(seconds=1):
            raise ValueError(f"`sweepInterval` must be at least 1s (is {self.sweep_interval})")
        return self


def read_settings(path: Path) -> Settings:
    """The settings in `path`. Raises ConfigurationError."""
    return _read(path, Settings)


def read_notifications(path: Path | None) -> NotificationSettings:
    """The `notifications` section as a file of its own; nobody is told where it is None. Raises as above."""
    return _read(path, NotificationSettings) if path else NotificationSettings()


def _read(path: Path, kind: type[_Document]) -> _Document:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return kind.model_validate(document)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        raise ConfigurationError("\n".join(_problem(path, item) for item in error.errors())) from error


def _problem(path: Path, item: Any) -> str:
    field = ".".join(str(part) for part in item["loc"]) or "settings"
    found = "" if isinstance(item.get("input"), dict) else f" (is {item.get('input')!r})"
    return f"{path}: `{field}`: {item['msg']}{found}"
