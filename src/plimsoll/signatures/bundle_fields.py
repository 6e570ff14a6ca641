"""Protobuf's JSON form, read strictly: one message at a time, each field by its type (``native.Message``)."""

from __future__ import annotations

from plimsoll.native import Message

__all__ = ["Message", "field_names"]


def field_names(*names: str, verbatim: tuple[str, ...] = ()) -> dict[str, str]:
    """What each field may be called -> its lowerCamel name; ``verbatim`` ones are lowerCamel in the .proto file too."""
    snake = {"".join([f"_{char.lower()}" if char.isupper() else char for char in name]): name for name in names}
    return {**snake, **{name: name for name in (*names, *verbatim)}}
