"""Bundles stored as referrers of their image; and the fallback tag's index, where a registry keeps no list itself.

Source: distribution-spec 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema". The API knows no
compare-and-swap, so who adds to an index reads it again until the entry is there. Two who write in the same moment can
still undo one another after both have read: the window is one request wide, and nothing in the API closes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, NotFoundError, SigningError, UnsupportedError
from plimsoll.model.descriptor import OCI_INDEX, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import Index, parse_manifest
from plimsoll.native import read_json
from plimsoll.signatures.made_bundles import EMPTY_CONFIG, MadeBundle, bundle_referrer
from plimsoll.transport.base import Destination, Source

_NEW_INDEX: Final[Mapping[str, object]] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


async def attach_bundle(
    bundle: MadeBundle, *, subject: Descriptor, source: Source, destination: Destination, now_s: float
) -> Digest:
    """Store ``bundle`` as a referrer of ``subject``; gives the digest of its manifest.

    Raises TransportError, SigningError where the fallback tag names something else than a list of referrers, or where
    others undo every writing of it; LimitExceededError past the cap of what is ever read.
    """
    made = bundle_referrer(bundle, subject=subject, now_s=now_s)
    for blob in (EMPTY_CONFIG, bundle.data):
        await destination.put_blob(blob)
    if not await destination.put_referrer(made.manifest, subject=subject.digest, listed=made.descriptor):
        await list_by_tag(made.descriptor, subject=subject.digest, source=source, destination=destination)
    return Digest.of(made.manifest)


async def list_by_tag(
    descriptor: Mapping[str, object], *, subject: Digest, source: Source, destination: Destination
) -> None:
    """Add a referrer to the index that the fallback tag of ``subject`` names; all that it lists stays.

    Raises as ``attach_bundle`` does.
    """
    for _ in range(limits.REFERRER_TRIES):
        index = await _index(subject, source=source)
        listed = cast("list[Mapping[str, object]]", index["manifests"])
        if any(entry["digest"] == descriptor["digest"] for entry in listed):
            return
        data = json.dumps({**index, "manifests": [*listed, dict(descriptor)]}, separators=(",", ":")).encode()
        if len(listed) >= limits.REFERRERS or len(data) > limits.REFERRERS_BYTES:
            raise LimitExceededError(f"{subject} has {len(listed)} referrers: no reader here would read more")
        await destination.put_manifest(data, tag=subject.tag, media_type=OCI_INDEX)
    raise SigningError(f"others keep writing the list of referrers, the tag {subject.tag}: sign one after the other")


async def _index(subject: Digest, *, source: Source) -> Mapping[str, object]:
    """The index as it is now. What cannot be read is nobody's to overwrite."""
    try:
        raw = await source.manifest_by_tag(subject.tag)
    except NotFoundError:
        return _NEW_INDEX
    try:
        found = parse_manifest(raw)
    except (ContentError, UnsupportedError) as error:
        raise SigningError(f"the tag {subject.tag} should list referrers, and cannot be read: {error}") from error
    if not isinstance(found, Index) or found.media_type != OCI_INDEX:
        raise SigningError(
            f"the tag {subject.tag} should list referrers, and names a {found.media_type}: left as it is"
        )
    document = read_json(raw.data, max_depth=limits.JSON_DEPTH, max_values=limits.MANIFEST_VALUES)
    return cast("Mapping[str, object]", document)
