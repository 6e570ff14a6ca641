"""The RFC 3161 timestamp that cosign keeps in an annotation of a ``.sig`` or ``.att`` layer."""

from __future__ import annotations

from plimsoll import limits
from plimsoll.errors import BadSignatureError, TimestampInvalidError
from plimsoll.native import ReadError, read_json
from plimsoll.signatures.timestamp import verify_timestamp
from plimsoll.signatures.trust_index import TrustIndex
from plimsoll.signatures.verifying import decode_base64


def annotated_times(
    text: str | None, *, signature: bytes, root: TrustIndex, promised_s: float | None
) -> tuple[float, ...]:
    """All times that are proven for ``signature``, in seconds since 1970: the log's promise and the annotation's.

    As in a bundle a timestamp that does not verify proves none, and is no more than missing where ``promised_s`` is
    there (sigstore-go). Raises TimestampInvalidError where it is not.
    """
    promised = () if promised_s is None else (promised_s,)
    if text is None:
        return promised
    try:
        return (*promised, _stamped(text, signature=signature, root=root))
    except TimestampInvalidError:
        if not promised:
            raise
        return promised


def _stamped(text: str, *, signature: bytes, root: TrustIndex) -> float:
    if len(text) > limits.LOG_ENTRY_BYTES:
        raise TimestampInvalidError(f"a timestamp annotation of {len(text)} characters")
    try:
        data = text.encode("utf-8", "surrogatepass")
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.LOG_VALUES)
    except ReadError as error:
        raise TimestampInvalidError(f"the timestamp annotation is refused: {error}") from error
    match document:
        case {"SignedRFC3161Timestamp": str(encoded), **rest} if not rest:
            return verify_timestamp(_decode(encoded), signature=signature, trust=root).time_s
        case _:
            raise TimestampInvalidError("the timestamp annotation has not just the member SignedRFC3161Timestamp")


def _decode(encoded: str) -> bytes:
    try:
        return decode_base64(encoded, what="SignedRFC3161Timestamp", limit=limits.LOG_ENTRY_BYTES)
    except BadSignatureError as error:
        raise TimestampInvalidError(str(error)) from error
