"""The cluster's certificates: one authority, one certificate per component, so that RBAC sees who is who."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.layout import LOOPBACK, NODE_NAME, Layout

LIFETIME = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The subject of one certificate. Kubernetes reads `common_name` as user and `organization` as group."""

    name: str
    common_name: str
    organization: str = ""
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def identities(layout: Layout) -> tuple[Identity, ...]:
    """Every certificate the cluster needs.

    The users are those that Kubernetes' default ClusterRoleBindings expect
    (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles).
    """
    return (
        Identity(
            name="apiserver",
            common_name="kube-apiserver",
            dns_names=("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
            addresses=(LOOPBACK, layout.node_address, layout.first_service_address),
        ),
        Identity(
            name="apiserver-kubelet-client",
            common_name="kube-apiserver-kubelet-client",
            organization="system:masters",
        ),
        Identity(
            name="kubelet",
            common_name=f"system:node:{NODE_NAME}",
            organization="system:nodes",
            dns_names=(NODE_NAME,),
            addresses=(layout.node_address,),
        ),
        Identity(name="admin", common_name="admin", organization="system:masters"),
        Identity(name="controller-manager", common_name="system:kube-controller-manager"),
        Identity(name="scheduler", common_name="system:kube-scheduler"),
        Identity(name="proxy", common_name="system:kube-proxy"),
        Identity(name="prometheus", common_name="prometheus"),
    )


class Authority:
    """A certificate authority that exists only as long as the object does: its key is never written."""

    def __init__(self, now: datetime.datetime) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        # A clock a little behind must not see a certificate from its future.
        self._not_before = now - datetime.timedelta(hours=1)
        self._not_after = now + LIFETIME
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bilgepump-test-ca")])
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def certificate_pem(self) -> bytes:
        """The authority's own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, identity: Identity) -> tuple[bytes, bytes]:
        """A new certificate and its private key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
        if identity.organization:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization))
        builder = self._builder(x509.Name(attributes), key.public_key()).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in identity.dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in identity.addresses]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM), private_key_pem(key)

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(secrets.randbits(128))
            .not_valid_before(self._not_before)
            .not_valid_after(self._not_after)
        )


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM without a password, in the format that the API server's token code reads."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def write_pki(layout: Layout, now: datetime.datetime) -> None:
    """Write the authority's certificate, all identities and the key that signs ServiceAccount tokens."""
    authority = Authority(now)
    layout.certificate("ca").parent.mkdir(parents=True, exist_ok=True)
    layout.certificate("ca").write_bytes(authority.certificate_pem())
    for identity in identities(layout):
        certificate, key = authority.issue(identity)
        layout.certificate(identity.name).write_bytes(certificate)
        _write_secret(layout.key(identity.name), key)
    _write_secret(layout.key("service-account"), private_key_pem(ec.generate_private_key(ec.SECP256R1())))


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
