"""One transparency-log entry of a bundle, proven: about this signature, in the tree of a trusted log, when it says so.

Cheap checks come first: shape and binding, then the Merkle path, then the log's signatures.
Sources: sigstore client specification, "Verification", steps 6 and 7; cosign-bundle-spec.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from plimsoll.errors import LogProofInvalidError, LogProofMissingError
from plimsoll.model.bundle import UntrustedTlogEntry
from plimsoll.model.trusted_root import TransparencyLog
from plimsoll.signatures.inclusion import check_inclusion
from plimsoll.signatures.log_bodies import LoggedContent, bind_body, parse_log_body
from plimsoll.signatures.note import UntrustedCheckpoint, parse_checkpoint, verify_checkpoint
from plimsoll.signatures.transparency import UntrustedLogEntry, verify_promise
from plimsoll.signatures.trust_index import TrustIndex
from plimsoll.signatures.verifying import KeyCheck

__all__ = ["LoggedContent", "VerifiedTlogEntry", "check_in_use", "verify_tlog_entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTlogEntry:
    """That a trusted log has, or promised to have, an entry about just this signature.

    ``integrated_time_s`` is None unless the log promised it: nothing else vouches for a time that is merely written
    there (sigstore-python PR 1247). ``log_index`` is the promised one, else the index inside the tree. ``logs`` is the
    log that proved it, once for each of its windows: entries of one log, or by one key, are no independent witnesses.
    """

    log_id: bytes
    log_index: int
    integrated_time_s: int | None
    kind: str
    logs: tuple[TransparencyLog, ...]

    @property
    def log_key(self) -> str:
        """The fingerprint of the log's key."""
        return self.logs[0].key.fingerprint


def verify_tlog_entry(
    entry: UntrustedTlogEntry, *, content: LoggedContent, trust: TrustIndex, version: str
) -> VerifiedTlogEntry:
    """Prove that a trusted log has an entry about ``content``.

    ``version`` is the bundle's: "0.1" demands the log's promise (SET), later ones the inclusion proof with its
    checkpoint; what is there beyond that must verify too. Raises LogProofMissingError, else LogProofInvalidError.
    The caller owes: ``check_in_use`` for an entry without a promise, at the times that are proven otherwise; and that
    the signer's key made the signature.
    """
    # 1. The body is of the kind that is stated, and about this content, signature and signer.
    bind_body(parse_log_body(entry.body, kind=entry.kind, version=entry.version), content=content)
    # 2. What the bundle's version demands is there.
    _check_demanded(entry, version)
    # 3. The log is a trusted one, in use at the time that is promised.
    logs = _logs(entry, trust)
    # 4. The body's own bytes are in the tree that the checkpoint is about.
    checkpoint = _checkpoint_about(entry)
    # 5. The log signed the promise and the checkpoint.
    signers = _signers(entry, logs, checkpoint, check=trust.facts.verify_by_key)
    promised = entry.promise is not None
    proven_index = entry.log_index if promised or entry.proof is None else entry.proof.log_index
    return VerifiedTlogEntry(
        log_id=entry.log_id,
        log_index=proven_index,
        integrated_time_s=entry.integrated_time_s if promised else None,
        kind=entry.kind,
        logs=signers,
    )


def check_in_use(entry: VerifiedTlogEntry, *, times_s: tuple[float, ...]) -> None:
    """Return if the log was in use at the time it promised, or without a promise at all of ``times_s``.

    These are the times that timestamps prove, or the present where nothing is proven; none at all is no time.
    Raises LogProofInvalidError.
    """
    if entry.integrated_time_s is not None:
        times_s = (entry.integrated_time_s,)
    if not times_s or not any(all(log.valid_at(time_s) for time_s in times_s) for log in entry.logs):
        raise LogProofInvalidError(
            f"the log {entry.log_id.hex()[:64]} was not in use by the trusted root when the signature was made"
        )


def _check_demanded(entry: UntrustedTlogEntry, version: str) -> None:
    if version == "0.1":
        if entry.promise is None:
            raise LogProofMissingError("the log entry has no signed entry timestamp, which bundles of v0.1 must have")
    elif entry.proof is None:
        raise LogProofMissingError(f"the log entry has no inclusion proof, which bundles of v{version[:8]} must have")
    elif entry.proof.checkpoint is None:
        raise LogProofMissingError(f"the inclusion proof has no checkpoint, which bundles of v{version[:8]} must have")


def _logs(entry: UntrustedTlogEntry, trust: TrustIndex) -> tuple[TransparencyLog, ...]:
    named = trust.tlogs(entry.log_id) if entry.log_id else ()
    if not named:
        raise LogProofInvalidError(f"the log {entry.log_id.hex()[:64]!r} is not in the trusted root")
    if entry.promise is None:
        return named
    if entry.integrated_time_s is None:
        raise LogProofInvalidError("the log entry has a signed entry timestamp, and no time that it could be of")
    current = tuple([log for log in named if log.valid_at(entry.integrated_time_s)])
    if not current:
        raise LogProofInvalidError("the entry was integrated when its log was not in use by the trusted root")
    return current


def _checkpoint_about(entry: UntrustedTlogEntry) -> UntrustedCheckpoint | None:
    """The checkpoint of the tree that holds the body; None where there is none, and nothing to vouch for the proof."""
    if entry.proof is None:
        return None
    check_inclusion(entry.proof, leaf=entry.body)
    if entry.proof.checkpoint is None:
        return None
    checkpoint = parse_checkpoint(entry.proof.checkpoint)
    if (checkpoint.tree_size, checkpoint.root_hash) != (entry.proof.tree_size, entry.proof.root_hash):
        raise LogProofInvalidError("the checkpoint is of another tree than the inclusion proof")
    return checkpoint


def _signers(
    entry: UntrustedTlogEntry,
    logs: tuple[TransparencyLog, ...],
    checkpoint: UntrustedCheckpoint | None,
    *,
    check: KeyCheck,
) -> tuple[TransparencyLog, ...]:
    """The logs, all of one key, that signed what is there; the last one's refusal is raised if none did."""
    fault = LogProofInvalidError("no trusted log signed the entry")
    tried = set()
    for log in logs:
        if (log.key, log.host) in tried:
            continue
        tried.add((log.key, log.host))
        try:
            if checkpoint is not None:
                verify_checkpoint(checkpoint, log=log, check=check)
            _verify_promise(entry, log)
        except LogProofInvalidError as error:
            fault = error
            continue
        return tuple([each for each in logs if (each.key, each.host) == (log.key, log.host)])
    raise fault


def _verify_promise(entry: UntrustedTlogEntry, log: TransparencyLog) -> None:
    if entry.promise is None or entry.integrated_time_s is None:
        return
    promised = UntrustedLogEntry(
        set=entry.promise,
        body=base64.b64encode(entry.body).decode(),
        integrated_time_s=entry.integrated_time_s,
        log_id=entry.log_id.hex(),
        log_index=entry.log_index,
    )
    verify_promise(promised, keys=(log.key,))
