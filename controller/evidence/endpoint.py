"""Where a replica offers its profiles."""

import ipaddress
import re
from dataclasses import dataclass

from controller.policy.memory_policy import Scheme

PPROF_SUFFIX = "/debug/pprof"
_PATH = re.compile(r"(/[A-Za-z0-9._~\-]+)+")


class EndpointRefused(ValueError):
    """An address, port or path that is not fetched from; the message says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PprofEndpoint:
    """
    One replica's pprof: an IP address (never a name), a port and a path that ends in `/debug/pprof`.

    Raises EndpointRefused.
    """

    address: str
    port: int
    path: str = PPROF_SUFFIX
    scheme: Scheme = Scheme.HTTP

    def __post_init__(self) -> None:
        """Checks each field."""
        try:
            ipaddress.ip_address(self.address)
        except ValueError as error:
            raise EndpointRefused(f"`address` must be an IP address (is '{self.address}')") from error
        if not 1 <= self.port <= 65535:
            raise EndpointRefused(f"`port` must be from 1 to 65535 (is {self.port})")
        if not self.path.endswith(PPROF_SUFFIX) or not _PATH.fullmatch(self.path) or "/.." in self.path:
            raise EndpointRefused(f"`path` must be a plain path ending in {PPROF_SUFFIX} (is '{self.path}')")

    @property
    def origin(self) -> str:
        """`http://10.0.0.7:6060`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme.value.lower()}://{host}:{self.port}"

    @property
    def debug_path(self) -> str:
        """The folder that also holds `vars` and `memory`."""
        return self.path.removesuffix("/pprof")


def replica_endpoint(
    *,
    address: str,
    port: int,
    path: str = PPROF_SUFFIX,
    scheme: Scheme = Scheme.HTTP,
    may_be_loopback: bool = False,
) -> PprofEndpoint:
    """
    An endpoint whose address the platform named.

    Raises EndpointRefused also for addresses no replica has of its own: loopback, link-local (where clouds
    serve credentials), multicast and unspecified.
    """
    endpoint = PprofEndpoint(address=address, port=port, path=path, scheme=scheme)
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    if mapped.is_loopback and may_be_loopback:
        return endpoint
    if mapped.is_loopback or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified:
        raise EndpointRefused(f"`address` must be a replica's own address (is {address})")
    return endpoint
