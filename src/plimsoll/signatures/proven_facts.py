"""ProvenFacts: what a run has already computed about signatures, so that no signature is checked twice.

Remembered is mathematics only: that this key made this signature over these bytes. It is true at any time and for
any image, so a later hit can skip no check of windows, validity, usage, names or identity: those are asked anew each
time. A fault is never remembered. The answer is the same with and without a memory.
"""

from __future__ import annotations

import hashlib
from threading import Lock

from plimsoll import limits
from plimsoll.model.trust import HashName, PublicKey
from plimsoll.signatures.certificate_paths import is_issued
from plimsoll.signatures.effort import spend_check
from plimsoll.signatures.verifying import verify_by_key
from plimsoll.signatures.x509 import Certificate


class ProvenFacts:
    """The memory of one run, shared by its threads; the facts not used for longest go first.

    Its methods are drop-in for ``verify_by_key`` and ``is_issued``.
    """

    __slots__ = ("_facts", "_lock", "_most")

    def __init__(self, *, most: int = limits.PROVEN_FACTS) -> None:
        self._facts: dict[bytes, None] = {}
        self._lock = Lock()
        self._most = most

    def __reduce__(self) -> tuple[type[ProvenFacts], tuple[()]]:
        return (ProvenFacts, ())  # facts are proven where they are used

    def __len__(self) -> int:
        return len(self._facts)

    def verify_by_key(self, key: PublicKey, *, signature: bytes, signed: bytes, hash_name: HashName) -> None:
        """Return if ``key`` made ``signature`` over ``signed``; raises UntrustedKeyError if not."""
        fact = _fact(b"key", key.spki, signature, signed, hash_name.encode())
        if self._known(fact):
            spend_check(key.crypto, hashed_bytes=len(signed))  # what is too dear must not depend on what is known
            return
        verify_by_key(key, signature=signature, signed=signed, hash_name=hash_name)
        self._learn(fact)

    def is_issued(self, child: Certificate, *, by: Certificate) -> bool:
        """Whether ``by`` signed ``child``, with an algorithm that nobody can forge."""
        fact = _fact(b"issued", child.der, by.der)
        if self._known(fact):
            if by.key is not None:
                spend_check(by.key.crypto)
            return True
        if not is_issued(child, by=by):
            return False
        self._learn(fact)
        return True

    def _known(self, fact: bytes) -> bool:
        with self._lock:
            if fact not in self._facts:
                return False
            del self._facts[fact]
            self._facts[fact] = None  # to the end: a dict keeps the order of insertion
            return True

    def _learn(self, fact: bytes) -> None:
        with self._lock:
            self._facts[fact] = None
            if len(self._facts) > self._most:
                del self._facts[next(iter(self._facts))]


def _fact(*parts: bytes) -> bytes:
    """All that a fact is about, in 32 bytes; each part with its length, so that no two facts run into one."""
    return hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in parts])).digest()
