"""Name constraints of a certificate authority (RFC 5280 section 4.2.1.10): which names it may speak for.

Understood are DNS names, e-mail addresses, URIs and IP addresses. A constraint on names of another kind is never
taken for met. Where RFC 5280 leaves room the narrower reading permits and the wider one excludes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

_UNDERSTOOD: Final = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress)


def constraint_fault(names: Iterable[x509.GeneralName], constraints: x509.NameConstraints) -> str | None:
    """What about ``names`` the constraints forbid, or None; a name that cannot be compared is forbidden."""
    permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
    for subtree in (*permitted, *excluded):
        if not isinstance(subtree, _UNDERSTOOD):
            return f"constrains names of a kind that is not understood ({type(subtree).__name__})"
    for name in names:
        try:
            fault = _fault(name, permitted, excluded)
        except ValueError as error:
            fault = f"cannot compare the name {_shown(name)} with its constraints: {error}"
        if fault is not None:
            return fault
    return None


def _fault(
    name: x509.GeneralName, permitted: Sequence[x509.GeneralName], excluded: Sequence[x509.GeneralName]
) -> str | None:
    forbids = [subtree for subtree in excluded if type(subtree) is type(name)]
    allows = [subtree for subtree in permitted if type(subtree) is type(name)]
    if any(_covers(subtree, name, wide=True) for subtree in forbids):
        return f"may not speak for {_shown(name)}: it is excluded"
    if allows and not any(_covers(subtree, name, wide=False) for subtree in allows):
        return f"may not speak for {_shown(name)}: it is not among the permitted names"
    return None


def _shown(name: x509.GeneralName) -> str:
    return f"{name.value!r:.160}"


def _covers(subtree: x509.GeneralName, name: x509.GeneralName, *, wide: bool) -> bool:
    """Whether ``name`` lies in ``subtree``, both of one kind; raises ValueError where that cannot be said."""
    match subtree, name:
        case x509.DNSName(), x509.DNSName():
            return _dns_covers(subtree.value, name.value, wide=wide)
        case x509.RFC822Name(), x509.RFC822Name():
            return _mail_covers(subtree.value, name.value, wide=wide)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _host_covers(subtree.value, _uri_host(name.value), wide=wide)
        case x509.IPAddress(), x509.IPAddress():
            return _address_covers(subtree.value, name.value)
        case _:
            raise ValueError("names of two kinds")


def _dns_covers(subtree: str, name: str, *, wide: bool) -> bool:
    """A DNS constraint covers its own name and all below; with a leading dot, as widely used, only those below.

    ``wide``: a wildcard name is covered already if one of the names it stands for could be (CVE-2025-61727).
    """
    base = name.removeprefix("*.")
    labels, wanted = _labels(base), _labels(subtree.removeprefix("."))
    if wide and base != name and _ends(wanted, labels):
        return True
    if labels == wanted:
        return base != name or not subtree.startswith(".")
    return _ends(labels, wanted)


def _mail_covers(subtree: str, name: str, *, wide: bool) -> bool:
    local, host = _mailbox(name)
    if "@" not in subtree:
        return _host_covers(subtree, host, wide=wide)
    wanted_local, wanted_host = _mailbox(subtree)
    return _labels(host) == _labels(wanted_host) and (local == wanted_local or (wide and _same(local, wanted_local)))


def _same(one: str, other: str) -> bool:
    """A local part's case counts (RFC 5321 section 2.4), but hardly a mail server knows."""
    return one.lower() == other.lower()


def _mailbox(text: str) -> tuple[str, str]:
    local, at, host = text.rpartition("@")
    if not at or not local or any(mark in local for mark in '@"\\ '):
        raise ValueError(f"{text!r:.160} is no plain mailbox")  # a quoted local part has many forms
    return local, host


def _host_covers(subtree: str, host: str, *, wide: bool) -> bool:
    """A constraint on a mail or URI host: one host, or with a leading dot all below it; empty covers every host.

    ``wide``: all below as well without the dot, as Go's crypto/x509 reads it.
    """
    labels, wanted = _labels(host), _labels(subtree.removeprefix("."))
    if not wanted:
        return True
    if labels == wanted:
        return not subtree.startswith(".")
    return _ends(labels, wanted) and (wide or subtree.startswith("."))


def _uri_host(text: str) -> str:
    host = urlsplit(text).hostname
    if not host:
        raise ValueError("it is a URI without a host")
    try:
        ip_address(host)
    except ValueError:
        return host
    raise ValueError("its host is an IP address")  # RFC 5280: then the URI is rejected


def _address_covers(
    subtree: IPv4Address | IPv6Address | IPv4Network | IPv6Network,
    name: IPv4Address | IPv6Address | IPv4Network | IPv6Network,
) -> bool:
    if not isinstance(subtree, IPv4Network | IPv6Network) or not isinstance(name, IPv4Address | IPv6Address):
        raise ValueError("one of them is no address and no network")  # noqa: TRY004  # a value, not a caller's slip
    return name in subtree


def _ends(labels: list[str], wanted: list[str]) -> bool:
    return len(labels) >= len(wanted) and labels[len(labels) - len(wanted) :] == wanted


def _labels(host: str) -> list[str]:
    """The labels of a host name in lower case; none for the empty name. Raises ValueError for an empty label."""
    if not host:
        return []
    labels = host.lower().split(".")
    if not all(labels):
        raise ValueError(f"{host!r:.160} is no host name")
    return labels
