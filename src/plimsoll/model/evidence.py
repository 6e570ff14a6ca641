"""Evidence: everything gathered about one image, as bytes and claims, and what is known to be absent or unknown.

A Place is asked as data; what a place means to a signature format is that format's business (``signatures``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import Location
from plimsoll.model.manifest import RawManifest
from plimsoll.model.verdict import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPlace:
    """A tag beside the image whose manifest lists attachments; layers of ``media_types`` are fetched whole."""

    tag: str
    media_types: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlace:
    """The signature store of the manifest with this digest: numbered files of any simple-signing or sigstore form.

    ``base`` is the URL of a lookaside; "" is the transport's own store, beside a ``dir:`` image.
    """

    base: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferrersPlace:
    """Everything whose subject is ``digest``, by the referrers API or the fallback tag (distribution-spec 1.1).

    Of artifacts whose type begins with ``artifact_type``, or that name none, the one layer of such a type is fetched.
    """

    digest: Digest
    artifact_type: str


Place = TagPlace | StorePlace | ReferrersPlace
"""Where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One thing that a place lists: its descriptor, and its bytes (whose digest was checked) or why there are none.

    What lies in a store has no descriptor: nobody claimed anything of it.
    """

    descriptor: Descriptor | None
    data: bytes | None = None
    failure: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The place exists; ``attachments`` is all of it that has the asked media types, in its order."""

    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """The place was asked and does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The place was asked and gave no usable answer: never the same as absent."""

    reason: Reason


Answer = Found | Absent | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What judge must know before it can go on; ``spent`` is what judging cost so far (``Evidence.spent``).

    ``whole`` says that what is found may decide against the image: an attestation that is forbidden, one too many, a
    newer one. Then no place is passed over, and none is absent that does not clearly say so.
    """

    places: tuple[Place, ...]
    whole: bool = False
    spent: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One image's evidence; a place that is no key of ``answers`` was not asked, which is not the same as absent.

    ``digests`` are those of the manifest's own bytes by which signatures may name it, SHA-256 first.
    ``now_s`` is the wall clock in seconds since 1970, read once an image. ``spent`` is what the turns of judge before
    this one cost, in P-256 checks, and the judging of its index and its siblings: all of it together is limited.
    """

    image: str
    location: Location
    manifest: RawManifest
    digests: tuple[Digest, ...]
    now_s: float
    answers: Mapping[Place, Answer] = field(default_factory=dict)
    spent: int = 0

    def with_answers(self, answers: Mapping[Place, Answer], *, spent: int = 0) -> Evidence:
        """This evidence and ``answers``; asking for them cost ``spent`` in all."""
        return Evidence(
            image=self.image,
            location=self.location,
            manifest=self.manifest,
            digests=self.digests,
            now_s=self.now_s,
            answers={**self.answers, **answers},
            spent=max(self.spent, spent),
        )
