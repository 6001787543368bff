"""Digest drift: a tag of ECR (moto's) that still names what runs, one that has moved, one nobody can ask."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from controller.decision.decide import decide
from controller.decision.outcome import Action, HoldReason
from controller.platforms.ecs.registry import EcrTags
from tests.ecs.cloud import a_client, moto_server
from tests.ecs.conftest import Adapters

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture(scope="module")
def ecr() -> Iterator[Any]:
    with moto_server() as url:
        client = a_client("ecr", url)
        client.create_repository(repositoryName="shop/api")
        yield client


def push(ecr: Any, tag: str, text: str) -> str:
    """Puts an image under a tag and gives its digest."""
    layer = {"digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(), "size": 1}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": layer,
        "layers": [layer],
    }
    put = ecr.put_image(repositoryName="shop/api", imageManifest=json.dumps(manifest), imageTag=tag)
    digest: str = put["image"]["imageId"]["imageDigest"]
    return digest


async def test_tag_names_a_digest(ecr: Any) -> None:
    digest = push(ecr, "v1", "one")

    assert await EcrTags(lambda _: ecr).digest(f"{REGISTRY}/shop/api:v1") == digest


@pytest.mark.parametrize(
    "image",
    ["docker.io/library/nginx:1", "nginx", f"{REGISTRY}/shop/api:gone", f"{REGISTRY}/shop/other:v1"],
    ids=["other registry", "no registry", "no such tag", "no such repository"],
)
async def test_what_cannot_be_asked_is_not_known(ecr: Any, image: str) -> None:
    assert await EcrTags(lambda _: ecr).digest(image) is None


async def test_registry_that_does_not_answer_is_not_known() -> None:
    dead = a_client("ecr", "http://127.0.0.1:9")

    assert await EcrTags(lambda _: dead).digest(f"{REGISTRY}/shop/api:v1") is None


async def test_tag_that_has_moved_holds_and_one_that_has_not_does_not(adapters: Adapters, ecr: Any) -> None:
    running = push(ecr, "live", "running")
    adapters = Adapters(adapters.ecs, registry=lambda _: ecr)
    (definition,) = adapters.ecs.scheduler.definitions.values()
    definition["containerDefinitions"][0]["image"] = f"{REGISTRY}/shop/api:live"
    adapters.ecs.run_image(running)
    assert decide(await adapters.situation()).action is Action.REMEDIATE

    push(ecr, "live", "pushed since")

    assert decide(await adapters.situation()).reason is HoldReason.IMAGE_MAY_DRIFT
