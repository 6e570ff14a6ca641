from typing_extensions import Buffer

from plimsoll.native.fields import JsonValue, ManifestFields

def read_json(
    data: Buffer, /, *, max_depth: int = 64, max_bytes: int = 67108864, max_values: int = 262144
) -> JsonValue: ...
def read_outline(
    data: Buffer,
    /,
    *,
    unread: str,
    max_depth: int = 64,
    max_bytes: int = 67108864,
    max_values: int = 262144,
    max_unread: int = 262144,
) -> JsonValue: ...
def read_manifest(
    data: Buffer,
    /,
    *,
    max_depth: int = 32,
    max_bytes: int = 4194304,
    max_values: int = 131072,
    max_layers: int = 4096,
    max_manifests: int = 4096,
) -> ManifestFields: ...
