"""The entries of ``from`` with their keys read: what each trusts, and whether it is behind a signature, and when."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar

from plimsoll.errors import (
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SignatureError,
    TimestampInvalidError,
    TimestampMissingError,
    UnreadableKeyError,
)
from plimsoll.model.identity import Identity
from plimsoll.model.key_reference import shown_reference
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.model.verdict import Reason
from plimsoll.policy.plimsoll_signers import is_unread
from plimsoll.policy.requirements import ALWAYS, LogDemand, NamedKey, NamedSigner, Window
from plimsoll.signatures.formats import (
    Artifact,
    IdentityTrust,
    KeyTrust,
    LogByRoot,
    LogIgnored,
    SignatureFormat,
    Trust,
    Verified,
)
from plimsoll.signatures.trust_index import TrustIndex

_Untrusted = TypeVar("_Untrusted")
ReadKey = Callable[[str], bytes]
"""A path, or a key reference -> what is there; raises UnreadableKeyError naming it, without PINs."""

_UNPROVEN: Final = (LogProofMissingError, LogProofInvalidError, TimestampMissingError, TimestampInvalidError)
"""What a signature may lack where no log is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadySigner:
    """An entry of ``from``: its ``trusts``, to be tried in this order, or the Reason why it has none.

    ``entry`` is what makes two of them one: the key, or the identity.
    """

    name: str
    entry: Hashable
    trusts: tuple[Trust, ...]
    log: LogDemand
    window: Window = ALWAYS
    failure: Reason | None = None

    def verify(
        self,
        untrusted: _Untrusted,
        signature_format: SignatureFormat[_Untrusted],
        artifact: Artifact,
        now_s: float,
    ) -> Verified:
        """Prove that this signer made it; raises SignatureError.

        It must be logged, or stamped by a trusted timestamp authority, unless the rule ignores the log: then a log
        entry is used for the time that it proves, and missed by nobody.
        """
        *others, last = self.trusts
        for trust in others:
            try:
                return signature_format.verify(untrusted, trust, artifact, now_s)
            except _UNPROVEN as error:
                if self.log is LogDemand.REQUIRED:
                    return self._stamped(error, lambda: signature_format.verify(untrusted, last, artifact, now_s))
        return signature_format.verify(untrusted, last, artifact, now_s)

    def _stamped(self, missing: SignatureError, verify: Callable[[], Verified]) -> Verified:
        """What a timestamp proves in place of a log entry; raises ``missing`` where neither does."""
        if not isinstance(missing, LogProofMissingError):
            raise missing
        try:
            found = verify()
        except SignatureError as error:
            if isinstance(error, PayloadError) and error.proven:
                raise
            raise missing from None
        if found.signed_at_s is None:
            raise missing
        return found

    def unwanted(self, found: Verified, now_s: float) -> Reason | None:
        """Why a signature of this signer does not count for its time; None if it does.

        The window is judged at the proven time; where none is proven the present must lie inside.
        """
        at_s = now_s if found.signed_at_s is None else found.signed_at_s
        if self.window.holds(at_s):
            return None
        when = "now, and no other time is proven," if found.signed_at_s is None else "when it signed"
        message = f"signed by {self.name!r:.99}, whose key is not good {when} by the policy's notBefore and notAfter"
        return Reason(code="untrusted-key", message=message)


def prepare_signer(
    signer: NamedSigner, *, log: LogDemand, read_key: ReadKey, read_reference: ReadKey, root: TrustIndex
) -> ReadySigner:
    """Read the key of ``signer``, if it is one; a failure becomes part of the result.

    Two readers, so that a path that looks like a reference stays a path.
    """
    if not isinstance(signer, NamedKey):
        return ReadySigner(
            name=signer.name, entry=signer.identity, trusts=_identity_trusts(signer.identity, root), log=log
        )
    key = _read(signer, read_key) if signer.reference is None else _fetched(signer, signer.reference, read_reference)
    if isinstance(key, Reason):
        return ReadySigner(name=signer.name, entry=signer.name, trusts=(), log=log, window=signer.window, failure=key)
    return ReadySigner(
        name=signer.name, entry=key, trusts=_key_trusts(key, signer, log, root), log=log, window=signer.window
    )


def _key_trusts(key: PublicKey, signer: NamedKey, log: LogDemand, root: TrustIndex) -> tuple[Trust, ...]:
    keys = (key,)
    logged = KeyTrust(keys=keys, log=LogByRoot(root=root), hash_name=signer.hash_name)
    stamped = KeyTrust(keys=keys, log=LogIgnored(), hash_name=signer.hash_name, stamped_by=root)
    bare = KeyTrust(keys=keys, log=LogIgnored(), hash_name=signer.hash_name)
    return (logged, stamped) if log is LogDemand.REQUIRED else (logged, stamped, bare)


def _identity_trusts(identity: Identity, root: TrustIndex) -> tuple[Trust, ...]:
    logged = IdentityTrust(identities=(identity,), root=root, log=LogByRoot(root=root))
    return logged, IdentityTrust(identities=(identity,), root=root, log=LogIgnored())


def unread_reference(reference: str) -> bytes:
    """The reader of those who read no references: raises UnreadableKeyError, always."""
    raise UnreadableKeyError(f"the key {shown_reference(reference)!r}: keys are read from files only here")


def _fetched(signer: NamedKey, reference: str, read_reference: ReadKey) -> PublicKey | Reason:
    named = f"the key {shown_reference(reference)!r}"
    if is_unread(reference):
        message = f"{signer.where}: {named}: keys from there are not read yet: save it to a file, and give its path"
        return Reason(code="unsupported", message=message)
    try:
        data = read_reference(reference)
    except UnreadableKeyError as error:
        return Reason(code=error.code, message=f"{signer.where}: {error}")
    try:
        return parse_pem_key(data)
    except UnreadableKeyError as error:
        return Reason(code=error.code, message=f"{signer.where}: {named}: {error}")


def _read(signer: NamedKey, read_key: ReadKey) -> PublicKey | Reason:
    name = f"the key {signer.name!r:.99}"
    try:
        for path in signer.source.paths:
            name = f"the key {path!r}"
            return parse_pem_key(read_key(path))
        for data in signer.source.data:
            return parse_pem_key(data)
    except UnreadableKeyError as error:
        return Reason(code=error.code, message=f"{name} of {signer.where}: {error}")
    return Reason(code="key-unreadable", message=f"{signer.where} names no key")
