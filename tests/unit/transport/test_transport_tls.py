from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from fakes import hostile
from fakes.clock import Clock
from fakes.hostile import HostileRegistry
from plimsoll import limits
from plimsoll.errors import ConfigError, RegistryError, UntrustedHostError
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.settings import Credentials, HttpSettings, TLSSettings
from plimsoll.transport.registry import connect
from plimsoll.transport.tls import client_context


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("pair")
    (folder / "pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder


@pytest.fixture
def certs(tmp_path, pair):
    (tmp_path / "ca.crt").write_bytes((pair / "pem").read_bytes())
    (tmp_path / "notes.txt").write_bytes(b"not ours")
    return tmp_path


async def canary(*_, **__):
    return Credentials(username="u", password="canary")


def server(pair, *, wants_client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair / "pem", pair / "key")
    if wants_client:
        context.load_verify_locations(pair / "pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def asked(pair, tls, *, wants_client=False, story=None):
    async def main():
        clock = Clock()
        async with HostileRegistry(tls=server(pair, wants_client=wants_client)) as registry:
            registry.on("/v2/app/manifests/v1", hostile.manifest(b"{}"))
            registries = connect(
                HttpSettings(timeout_s=10),
                credentials_for=canary,
                tls_for=tls if callable(tls) else lambda _: tls,
                sleep=clock.sleep,
                monotonic=clock.monotonic,
            )
            try:
                source = registries.open(parse_docker_reference(f"{registry.host}/app:v1"))
                if story is not None:
                    return await story(registry, source)
                await source.manifest()
                return registry, source
            finally:
                await registries.aclose()

    return asyncio.run(main())


def test_a_certificate_of_the_directory_is_trusted(pair, certs):
    registry, source = asked(pair, TLSSettings(cert_dir=str(certs)))
    assert len(registry.seen) == source.meter.requests == 1


def test_a_certificate_that_is_not_trusted_ends_the_tries_at_once(pair):
    async def story(registry, source):
        with pytest.raises(UntrustedHostError, match="certificate"):
            await source.manifest()
        assert registry.seen == []
        assert source.meter.requests == 0

    asked(pair, TLSSettings(), story=story)


def test_without_proof_tls_is_still_spoken_where_the_host_speaks_it(pair):
    registry, source = asked(pair, TLSSettings(verify=False))
    assert len(registry.seen) == source.meter.requests == 1
    assert source._repository.host.base.startswith("https:")


def test_a_client_certificate_is_shown(pair, certs):
    (certs / "me.cert").write_bytes((pair / "pem").read_bytes())
    (certs / "me.key").write_bytes((pair / "key").read_bytes())
    registry, _ = asked(pair, TLSSettings(cert_dir=str(certs)), wants_client=True)
    assert len(registry.seen) == 1


def test_unproven_tls_shows_the_client_certificate_too(pair, certs):
    (certs / "ca.crt").unlink()
    (certs / "me.cert").write_bytes((pair / "pem").read_bytes())
    (certs / "me.key").write_bytes((pair / "key").read_bytes())
    registry, _ = asked(pair, TLSSettings(cert_dir=str(certs), verify=False), wants_client=True)
    assert len(registry.seen) == 1


@pytest.mark.parametrize("verify", [True, False])
def test_files_that_fail_us_make_the_host_unreachable_not_the_image_rejected(pair, tmp_path, verify):
    async def story(registry, source):
        with pytest.raises(UntrustedHostError, match="cannot be read") as caught:
            await source.manifest()
        assert caught.value.code == "unreachable"
        assert registry.connections == source.meter.requests == 0

    asked(pair, TLSSettings(cert_dir=str(tmp_path / "nowhere"), verify=verify), story=story)


def test_a_redirect_from_tls_to_plain_http_is_refused_unless_that_host_may_be_plain(pair, certs):
    def tls(plain):
        return lambda host: TLSSettings(verify=host not in plain, cert_dir=str(certs))

    def story_for(*, refused):
        async def story(registry, source):
            async with HostileRegistry() as elsewhere:
                allowed.clear()
                if not refused:
                    allowed.append(elsewhere.host)
                registry.on("/v2/app/manifests/v1", hostile.redirect(f"http://{elsewhere.host}/x"))
                elsewhere.on("/x", hostile.manifest(b"{}"))
                if refused:
                    with pytest.raises(RegistryError, match="plain HTTP"):
                        await source.manifest()
                    assert elsewhere.seen == []
                else:
                    assert (await source.manifest()).data == b"{}"
                    assert "authorization" not in elsewhere.seen[0].headers

        return story

    allowed = []
    asked(pair, tls(allowed), story=story_for(refused=True))
    asked(pair, tls(allowed), story=story_for(refused=False))


def test_a_plain_realm_of_a_tls_registry_never_gets_the_credentials(pair, certs):
    async def story(registry, source):
        async with HostileRegistry() as realm:
            realm.on("/token", hostile.token("t0k3n"))
            challenge = f'Bearer realm="http://{realm.host}/token"'
            registry.on(
                "/v2/app/manifests/v1", hostile.needs("Bearer t0k3n", hostile.manifest(b"{}"), challenge=challenge)
            )
            await source.manifest()
            assert "authorization" not in realm.seen[0].headers

    asked(pair, TLSSettings(cert_dir=str(certs)), story=story)


def test_a_tls_realm_of_the_same_host_gets_them(pair, certs):
    async def story(registry, source):
        registry.on("/token", hostile.token("t0k3n"))
        challenge = f'Bearer realm="https://{registry.host}/token"'
        registry.on("/v2/app/manifests/v1", hostile.needs("Bearer t0k3n", hostile.manifest(b"{}"), challenge=challenge))
        await source.manifest()
        assert registry.asked("/token")[0].headers["authorization"].startswith("Basic ")

    asked(pair, TLSSettings(cert_dir=str(certs)), story=story)


@pytest.mark.parametrize(
    ("name", "missing"), [("me.cert", "missing key me.key"), ("me.key", "missing client certificate me.cert")]
)
def test_half_a_client_pair_is_refused(certs, pair, name, missing):
    (certs / name).write_bytes((pair / "pem").read_bytes())
    with pytest.raises(ConfigError, match=missing):
        client_context(TLSSettings(cert_dir=str(certs)))


@pytest.mark.parametrize("name", ["ca.crt", "me.cert"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"rubbish",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"x" * (limits.CERT_BYTES + 1),
    ],
)
def test_files_that_are_no_certificates_are_refused(certs, name, data):
    (certs / name).write_bytes(data)
    (certs / "me.key").write_bytes(b"x")
    (certs / "me.cert").touch()
    with pytest.raises(ConfigError):
        client_context(TLSSettings(cert_dir=str(certs)))


@pytest.fixture
def no_prompt(monkeypatch):
    """Whatever OpenSSL would be told at its prompt: a test that fails must not wait for ever."""
    monkeypatch.setattr("ssl.SSLContext.load_cert_chain", _answering(ssl.SSLContext.load_cert_chain))


def _answering(load):
    def loaded(context, pair, key, password=lambda: "phrase"):
        return load(context, pair, key, password)

    return loaded


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_client_key_is_refused_and_nobody_is_asked_for_its_phrase(certs, pair, no_prompt, form):
    key = load_pem_private_key((pair / "key").read_bytes(), None)
    for secret, refused in ((NoEncryption(), False), (BestAvailableEncryption(b"phrase"), True)):
        (certs / "me.cert").write_bytes((pair / "pem").read_bytes())
        (certs / "me.key").write_bytes(key.private_bytes(Encoding.PEM, form, secret))
        if not refused:
            assert client_context(TLSSettings(cert_dir=str(certs)))
            continue
        with pytest.raises(ConfigError, match=r"me\.key.* the key is encrypted"):
            client_context(TLSSettings(cert_dir=str(certs)))


@pytest.mark.parametrize("name", ["ca.crt", "me.cert"])
def test_a_pipe_is_not_waited_for(certs, pair, name, monkeypatch):
    (certs / "me.key").write_bytes((pair / "key").read_bytes())
    (certs / "me.cert").write_bytes((pair / "pem").read_bytes())
    client_context(TLSSettings(cert_dir=str(certs)))
    (certs / "ca.crt").unlink()
    (certs / name).unlink(missing_ok=True)
    os.mkfifo(certs / name)
    for load in ("load_verify_locations", "load_cert_chain"):
        monkeypatch.setattr(ssl.SSLContext, load, lambda _, *files: pytest.fail(f"{files} are opened"))
    with pytest.raises(ConfigError, match="no regular file"):
        client_context(TLSSettings(cert_dir=str(certs)))


def test_a_directory_with_too_many_files_is_refused(certs, monkeypatch):
    client_context(TLSSettings(cert_dir=str(certs)))
    monkeypatch.setattr(limits, "CERT_FILES", 1)
    with pytest.raises(ConfigError, match="at most 1"):
        client_context(TLSSettings(cert_dir=str(certs)))


def test_without_a_directory_the_systems_roots_count_or_nothing():
    assert client_context(TLSSettings()) is True
    assert client_context(TLSSettings(verify=False)) is False
