"""
boto3 clients for an account and a region, with the manners of a good neighbour.

Own credentials come from where boto3 looks (task role, IRSA, environment). Another account's role is assumed
through the region's own STS endpoint and assumed again by botocore before its credentials expire. Endpoint
overrides (`AWS_ENDPOINT_URL…`), FIPS (`AWS_USE_FIPS_ENDPOINT`) and dual-stack (`AWS_USE_DUALSTACK_ENDPOINT`)
are boto3's own and work unchanged.
"""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.session import Session as BotocoreSession
from botocore.session import get_session

SESSION_NAME = "bilgepump"
"""Seen in CloudTrail and, after `StopTask`, in the other account's logs."""

_PATIENCE: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 20,
    "max_pool_connections": 8,
    "user_agent_extra": SESSION_NAME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where, and as whom."""

    region: str
    role_arn: str = ""
    external_id: str = ""


class AwsClients:
    """One client per account, region and service."""

    def __init__(self) -> None:
        self._sessions: dict[Account, boto3.Session] = {}
        self._clients: dict[tuple[Account, str, bool], BaseClient] = {}

    def reader(self, account: Account, service: str) -> BaseClient:
        """A client that repeats what failed, and slows down where it is told to."""
        return self._client(account, service, once=False)

    def writer(self, account: Account, service: str) -> BaseClient:
        """A client that sends every call once."""
        return self._client(account, service, once=True)

    def _client(self, account: Account, service: str, *, once: bool) -> BaseClient:
        key = (account, service, once)
        if key not in self._clients:
            retries: Any = {"mode": "standard", "total_max_attempts": 1}
            if not once:
                retries = {"mode": "adaptive", "total_max_attempts": 5}
            make: Any = self._session(account).client
            self._clients[key] = make(service, config=Config(retries=retries, **_PATIENCE))
        return self._clients[key]

    def _session(self, account: Account) -> boto3.Session:
        if account not in self._sessions:
            own = get_session()
            own.set_config_variable("region", account.region)
            if account.role_arn:
                own = _assumed(own, account)
            self._sessions[account] = boto3.Session(botocore_session=own, region_name=account.region)
        return self._sessions[account]


class _AssumedRole(CredentialProvider):
    """Gives out credentials of a role, fetched when they are first needed and again before they expire."""

    METHOD = "assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> Credentials:
        """Nothing is asked of STS yet."""
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)


def _assumed(own: BotocoreSession, account: Account) -> BotocoreSession:
    extra = {"RoleSessionName": SESSION_NAME}
    if account.external_id:
        extra["ExternalId"] = account.external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=own.create_client,
        source_credentials=own.get_credentials(),
        role_arn=account.role_arn,
        extra_args=extra,
    )
    session = BotocoreSession()
    session.set_config_variable("region", account.region)
    session.register_component("credential_provider", CredentialResolver([_AssumedRole(fetcher)]))
    return session
