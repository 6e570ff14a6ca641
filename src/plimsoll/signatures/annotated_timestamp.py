"""The RFC 3161 timestamp that cosign keeps in an annotation of a ``.sig`` or ``.att`` layer."""

from __future__ import annotations

from plimsoll import limits
from plimsoll.errors import TimestampInvalidError
from plimsoll.native import ReadError, read_json
from plimsoll.signatures.timestamp import verify_timestamp
from plimsoll.signatures.trust_index import TrustIndex
from plimsoll.signatures.verifying import decode_base64


def annotated_times(text: str | None, *, signature: bytes, root: TrustIndex) -> tuple[float, ...]:
    """The time that the annotation proves for ``signature``, in seconds since 1970; none where it is absent.

    One that is there must verify (cosign's ``--use-signed-timestamps``). Raises TimestampInvalidError, or
    BadSignatureError for what is no base64.
    """
    if text is None:
        return ()
    if len(text) > limits.LOG_ENTRY_BYTES:
        raise TimestampInvalidError(f"a timestamp annotation of {len(text)} characters")
    try:
        document = read_json(text.encode("utf-8", "surrogatepass"), max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise TimestampInvalidError(f"the timestamp annotation is refused: {error}") from error
    match document:
        case {"SignedRFC3161Timestamp": str(encoded), **rest} if not rest:
            response = decode_base64(encoded, what="SignedRFC3161Timestamp", limit=limits.LOG_ENTRY_BYTES)
            return (verify_timestamp(response, signature=signature, trust=root).time_s,)
        case _:
            raise TimestampInvalidError("the timestamp annotation has not just the member SignedRFC3161Timestamp")
