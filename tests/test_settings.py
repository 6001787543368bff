from datetime import timedelta
from pathlib import Path

import pytest

from controller.settings import ConfigurationError, read_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_empty_file_means_every_default(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, ""))

    assert settings.powers.remediate is False
    assert settings.sweep_interval == timedelta(seconds=60)


def test_source_is_read_as_the_chart_writes_it(tmp_path: Path) -> None:
    text = """
metricsSources:
  - {name: default, type: Prometheus, url: "http://prometheus:9090", timeout: 10s, sampleInterval: 5s,
     maximumResponseBytes: 64Mi, basicAuth: {username: me, passwordFile: /secret},
     headers: {X-Scope-OrgID: a}}
"""
    (source,) = read_settings(write(tmp_path, text)).metrics_sources

    assert source.prometheus.timeout_seconds == 10
    assert source.prometheus.maximum_response_bytes == 64 * 2**20
    assert source.prometheus.headers == (("X-Scope-OrgID", "a"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("sweepInterval: 10", "sweepInterval", id="a duration without unit"),
        pytest.param("sweepIntervall: 10s", "sweepIntervall", id="a misspelt field"),
        pytest.param("sweepInterval: 0s", "sweepInterval", id="too short"),
        pytest.param("metricsSources: [{name: a, url: nowhere}]", "url", id="no address"),
        pytest.param(
            "metricsSources: [{name: A b, url: 'http://x'}]", "name", id="a name that no policy can say"
        ),
        pytest.param(
            "metricsSources: [{name: a, url: 'http://x'}, {name: a, url: 'http://y'}]",
            "different names",
            id="the same name twice",
        ),
        pytest.param("powers: {remediate: perhaps}", "powers.remediate", id="neither true nor false"),
        pytest.param("limits: {concurrentRemediations: 0}", "concurrentRemediations", id="no slot at all"),
        pytest.param("blockingAlerts: {pattern: '('}", "not a regular expression", id="half a pattern"),
        pytest.param("{", "cannot be read", id="not YAML"),
    ],
)
def test_bad_setting_is_named_with_its_field(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        read_settings(write(tmp_path, text))


@pytest.mark.parametrize(
    ("s3", "told"),
    [
        ("{}", r"`evidence\.s3\.bucket`: Field required"),
        ("{bucket: No_Bucket}", r"`evidence\.s3\.bucket`.*'No_Bucket'"),
        ("{bucket: ours, kmsKeyArn: alias/mine}", r"`evidence\.s3\.kmsKeyArn`.*'alias/mine'"),
        ("{bucket: ours, prefix: /above}", r"`evidence\.s3\.prefix`.*'/above'"),
        ("{bucket: ours, endpointUrl: minio}", r"`evidence\.s3\.endpointUrl`.*'minio'"),
        ("{bucket: ours, key: x}", r"`evidence\.s3\.key`"),
    ],
)
def test_bucket_that_cannot_be_one_is_named(tmp_path: Path, s3: str, told: str) -> None:
    (tmp_path / "settings.yaml").write_text(f"evidence: {{s3: {s3}}}")

    with pytest.raises(ConfigurationError, match=told):
        read_settings(tmp_path / "settings.yaml")


@pytest.mark.parametrize(("prefix", "below"), [("", ""), ("a/b", "a/b/"), ("a/b/", "a/b/")])
def test_prefix_of_the_bucket_is_a_folder(tmp_path: Path, prefix: str, below: str) -> None:
    (tmp_path / "settings.yaml").write_text(f"evidence: {{s3: {{bucket: ours, prefix: '{prefix}'}}}}")

    s3 = read_settings(tmp_path / "settings.yaml").evidence.s3
    assert s3 is not None
    assert s3.location.prefix == below


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        read_settings(tmp_path / "nowhere.yaml")
