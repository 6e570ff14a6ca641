"""HashiCorp Vault and OpenBao: one GET for a transit key, over TLS that is proven whatever ``--tls-verify`` says."""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll import limits
from plimsoll.errors import ContentError, TransportError, UnreadableKeyError, UsageError
from plimsoll.model.settings import HttpSettings, ProxyFor, TLSSettings
from plimsoll.model.trust import PublicKey
from plimsoll.transport.base import Meter
from plimsoll.transport.http import HttpClient
from plimsoll.transport.sigstore_services import ServiceUrl
from plimsoll.wire import parse_vault_key, vault_key_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Where it is and who asks: the values of ``VAULT_ADDR``, ``VAULT_TOKEN``, ``VAULT_NAMESPACE`` and the mount."""

    address: str
    token: str = field(repr=False)
    mount: str = "transit"
    namespace: str = ""


async def fetch_vault_key(name: str, vault: Vault, *, proxy_for: ProxyFor | None = None) -> PublicKey:
    """The newest public key of a transit key; raises UnreadableKeyError, never quoting the token or the answer."""
    try:
        at = ServiceUrl.parse(vault.address, what="VAULT_ADDR")
        request = vault_key_request(name, base=at.path, mount=vault.mount, namespace=vault.namespace)
        settings = HttpSettings(retries=limits.KEY_SERVICE_RETRIES, timeout_s=limits.KEY_SERVICE_S)
        tls = TLSSettings(verify=True)
        http = HttpClient(settings, lambda _: tls, proxy_for=proxy_for)
        try:
            host = http.host(at.netloc, scheme=at.scheme)
            reply = await http.get(
                host,
                request,
                limit=limits.KEY_SERVICE_BYTES,
                meter=Meter(),
                authorization=f"Bearer {vault.token}",
            )
        finally:
            await http.aclose()
    except (TransportError, ContentError, UsageError) as error:
        raise UnreadableKeyError(str(error)) from None
    return parse_vault_key(reply)
