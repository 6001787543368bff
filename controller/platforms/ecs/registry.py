"""
Which image a mutable tag names now, asked of Amazon ECR.

A new deployment resolves the tag again, so a restart could ship other code. What cannot be asked (another
registry, no right to) is not known, and what is not known counts as moved.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"/(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?"
)


class EcrTags:
    """The tags that one account may look up."""

    def __init__(self, client: Callable[[str], BaseClient]) -> None:
        """`client` answers for a region."""
        self._client = client

    async def digest(self, image: str) -> str | None:
        """The digest that the tag of `image` names now; None where that cannot be found out."""
        found = _ECR_IMAGE.fullmatch(image)
        if found is None:
            return None
        return await asyncio.to_thread(self._ask, found)

    def _ask(self, image: re.Match[str]) -> str | None:
        client: Any = self._client(image["region"])
        try:
            answer = client.describe_images(
                registryId=image["account"],
                repositoryName=image["name"],
                imageIds=[{"imageTag": image["tag"] or "latest"}],
            )
        except (ClientError, BotoCoreError):
            return None
        digests = [str(one["imageDigest"]) for one in answer["imageDetails"]]
        return digests[0] if len(digests) == 1 else None
