"""Strict JSON (RFC 8259) in plain Python: the specification that ext/_reader.pyx must equal.

Equal means: the same value, or a ReadError of the same kind at the same offset. Hence the order of the checks is fixed:
left to right; a string is judged byte by byte; a duplicate name is refused once its value has been read; what a number
is not ("1." or "01") ends the number and is then no place for the next byte. Manifest members of the wrong type are
spoken of only when the whole document is otherwise in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from typing_extensions import Buffer

from plimsoll import limits
from plimsoll.errors import ReadError
from plimsoll.native._json_py import open_reader
from plimsoll.native.fields import DescriptorFields, JsonValue, ManifestFields, PlatformFields

_FOLDS: Final = {0x17F: "s", 0x212A: "k"} | {upper: chr(upper + 32) for upper in range(ord("A"), ord("Z") + 1)}
_MANIFEST: Final = (
    "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations",
)  # fmt: skip
_DESCRIPTOR: Final = ("mediaType", "digest", "size", "annotations", "platform", "artifactType", "urls", "data")
_PLATFORM: Final = ("os", "architecture", "variant", "os.version", "os.features")


def read_json(
    data: Buffer,
    /,
    *,
    max_depth: int = limits.JSON_DEPTH * 2,
    max_bytes: int = limits.JSON_BYTES,
    max_values: int = limits.JSON_VALUES,
) -> JsonValue:
    """The value of one strict JSON document; a container's depth is 1 more than that of what it stands in.

    ReadError where RFC 8259 or the caps are passed, a name is given twice in an object, a number has more than
    ``limits.JSON_INTEGER_DIGITS`` digits or no finite double; ValueError for a max_depth out of range. Of values
    ``max_values`` may begin, the document's own and those of all members and items: one more is refused unread.
    """
    reader = open_reader(data, max_depth=max_depth, max_bytes=max_bytes, max_values=max_values)
    return reader.whole(reader.value(max_depth))


def read_outline(
    data: Buffer,
    /,
    *,
    unread: str,
    max_depth: int = limits.JSON_DEPTH * 2,
    max_bytes: int = limits.JSON_BYTES,
    max_values: int = limits.JSON_VALUES,
    max_unread: int = limits.JSON_VALUES,
) -> JsonValue:
    """As read_json, but what is in the outermost object's member ``unread`` is only checked: it comes out empty.

    For documents that nobody has vouched for yet. The values in that object or list are counted against
    ``max_unread``, all others against ``max_values``.
    """
    reader = open_reader(data, max_depth=max_depth, max_bytes=max_bytes, max_values=max_values)
    readers = {unread: lambda depth: reader.emptied(depth, most=max_unread)}
    return reader.whole(reader.document(max_depth, readers))


# ---- manifests -------------------------------------------------------------------------------------------------------


def read_manifest(
    data: Buffer,
    /,
    *,
    max_depth: int = limits.JSON_DEPTH,
    max_bytes: int = limits.MANIFEST_BYTES,
    max_values: int = limits.MANIFEST_VALUES,
    max_layers: int = limits.LAYERS,
    max_manifests: int = limits.INDEX_CHILDREN,
) -> ManifestFields:
    """The members of an OCI or Docker manifest or index that the model needs; all of the document is checked.

    Known members may be absent or null, unknown ones are passed over. ReadError as from read_json, which counts the
    values of all members; for a list of more than ``max_layers`` or ``max_manifests``; and of the kind "shape" where a
    known member has another JSON type than the specification's, or where a name equals a known one but for its case:
    Go's encoding/json would read it as that one, so two readers would see two documents.
    """
    reader = open_reader(data, max_depth=max_depth, max_bytes=max_bytes, max_values=max_values)
    readers: dict[str, Callable[[int], JsonValue]] = {
        "layers": lambda depth: reader.listed(depth, most=max_layers, what="more layers than allowed begin"),
        "manifests": lambda depth: reader.listed(depth, most=max_manifests, what="more manifests than allowed begin"),
    }
    return manifest_fields(reader.whole(reader.document(max_depth, readers)))


def manifest_fields(document: JsonValue) -> ManifestFields:
    """The members of a document that is already read; ReadError of the kind "shape"."""
    if not isinstance(document, dict):
        raise ReadError("the document is not an object", kind="shape")
    _refuse_mistakable(document, _MANIFEST, "")
    return ManifestFields(
        schema_version=_integer(document, "schemaVersion", ""),
        media_type=_text(document, "mediaType", ""),
        artifact_type=_text(document, "artifactType", ""),
        config=_descriptor_member(document, "config"),
        layers=_descriptors(document, "layers"),
        manifests=_descriptors(document, "manifests"),
        subject=_descriptor_member(document, "subject"),
        annotations=_text_map(document, "annotations", ""),
        members=tuple(document),
    )


def _misshapen(where: str, member: str, wanted: str) -> NoReturn:
    raise ReadError(f"{where}.{member} is not {wanted}" if where else f"{member} is not {wanted}", kind="shape")


def _fold(name: str) -> str:
    """As Go's encoding/json folds the names of struct members: ASCII case, U+017F to s, U+212A to k."""
    return name.translate(_FOLDS)


def _refuse_mistakable(members: dict[str, JsonValue], known: tuple[str, ...], where: str) -> None:
    strangers = members.keys() - set(known)
    folded = {_fold(name) for name in known} if strangers else set()
    for name in strangers:
        if _fold(name) in folded:
            raise ReadError(
                f"the member {name!r} of {where or 'the document'} differs from a known name only in its case: two"
                " readers would see two documents",
                kind="shape",
            )


def _text(members: dict[str, JsonValue], name: str, where: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        _misshapen(where, name, "a string")
    return value


def _integer(members: dict[str, JsonValue], name: str, where: str) -> int | None:
    value = members.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        _misshapen(where, name, "an integer")
    return value


def _texts(members: dict[str, JsonValue], name: str, where: str) -> tuple[str, ...]:
    value = members.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        _misshapen(where, name, "a list of strings")
    texts = tuple(item for item in value if isinstance(item, str))
    if len(texts) != len(value):
        _misshapen(where, name, "a list of strings")
    return texts


def _text_map(members: dict[str, JsonValue], name: str, where: str) -> dict[str, str] | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        _misshapen(where, name, "an object of strings")
    texts = {key: text for key, text in value.items() if isinstance(text, str)}
    if len(texts) != len(value):
        _misshapen(where, name, "an object of strings")
    return texts


def _platform(members: dict[str, JsonValue], where: str) -> PlatformFields | None:
    value = members.get("platform")
    if value is None:
        return None
    if not isinstance(value, dict):
        _misshapen(where, "platform", "an object")
    where = f"{where}.platform"
    _refuse_mistakable(value, _PLATFORM, where)
    return PlatformFields(
        os=_text(value, "os", where),
        architecture=_text(value, "architecture", where),
        variant=_text(value, "variant", where),
        os_version=_text(value, "os.version", where),
        features=_texts(value, "os.features", where),
    )


def _descriptor(members: dict[str, JsonValue], where: str) -> DescriptorFields:
    _refuse_mistakable(members, _DESCRIPTOR, where)
    return DescriptorFields(
        media_type=_text(members, "mediaType", where),
        digest=_text(members, "digest", where),
        size=_integer(members, "size", where),
        annotations=_text_map(members, "annotations", where),
        platform=_platform(members, where),
        artifact_type=_text(members, "artifactType", where),
        urls=_texts(members, "urls", where),
        data=_text(members, "data", where),
    )


def _descriptor_member(document: dict[str, JsonValue], name: str) -> DescriptorFields | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        _misshapen("", name, "an object")
    return _descriptor(value, name)


def _descriptors(document: dict[str, JsonValue], name: str) -> tuple[DescriptorFields, ...] | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        _misshapen("", name, "a list of objects")
    objects = [item for item in value if isinstance(item, dict)]
    if len(objects) != len(value):
        _misshapen("", name, "a list of objects")
    return tuple(_descriptor(item, f"{name}[{index}]") for index, item in enumerate(objects))
