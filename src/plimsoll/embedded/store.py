"""Store: a folder of OCI layouts as a registry's storage; the repository ``a/b`` is the layout at ROOT/a/b.

Another tool may write the folder while it is served: index.json is read again when its stat changes. Of stores that
write there is one at a time (flock on ROOT), since two would lose each other's tags.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from typing import Final, Self

from plimsoll.embedded import folder
from plimsoll.embedded.repository import Repository
from plimsoll.embedded.uploads import Uploads
from plimsoll.errors import InvalidReferenceError, StoreError
from plimsoll.model.reference import parse_docker_reference

_RESERVED: Final = frozenset({"blobs", "index.json", "oci-layout"})
"""What a layout holds: a repository named so would lie inside another one's."""


class Store:
    """The repositories of one folder; thread-safe; ``close`` gives back the handle and the lock.

    With ``durable`` what is pushed is on disk before it is answered. Raises NotADirectoryError or FileNotFoundError
    where ``root`` is no folder, StoreError where it is to be written and another store writes it.
    """

    def __init__(self, root: str | os.PathLike[str], *, writable: bool = False, durable: bool = False) -> None:
        self.writable = writable
        self.durable = durable
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._repositories: dict[str, Repository] = {}
        self.uploads = Uploads(self._root)
        if writable:
            self._claim(os.fspath(root))

    def _claim(self, root: str) -> None:
        try:
            fcntl.flock(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StoreError(f"{root} is written by another registry: stop it, or serve without writes") from None
        self.uploads.discard_left_over()

    def repository(self, name: str, *, create: bool = False) -> Repository:
        """The repository ``name``; raises StoreError for no valid name, and for an absent one unless ``create``."""
        with self._lock:
            known = self._repositories.get(name)
            if known is not None and known.exists():
                return known
            found = known or Repository(self._root, parse_name(name), durable=self.durable)
            if create:
                found.create()
            elif not found.exists():
                raise StoreError(f"there is no repository {name}", refusal="NAME_UNKNOWN")
            self._repositories[name] = found
            return found

    def names(self) -> tuple[str, ...]:
        """Every repository, sorted; walks the whole folder."""
        return tuple(sorted(self._walk(())))

    def _walk(self, above: tuple[str, ...]) -> Iterator[str]:
        with folder.directory(self._root, above) as handle:
            below = [entry.name for entry in os.scandir(handle) if entry.is_dir(follow_symlinks=False)]
        for part in below:
            name = "/".join((*above, part))
            if not _is_name(name):
                continue
            try:
                with folder.directory(self._root, name.split("/")) as handle:
                    folder.stat_file(handle, "index.json")
                yield name
            except folder.Absent:
                pass  # a folder on the way to a repository, or one just removed
            yield from self._walk((*above, part))

    def close(self) -> None:
        """Give back the handle; a second call does nothing."""
        if self._root >= 0:
            self.uploads.close()
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_name(name: str) -> str:
    """``name`` itself, if it may name a repository here; raises StoreError.

    The grammar is the reference's own, so ``..``, empty components, upper case and separators of tags cannot pass.
    """
    if not _is_name(name):
        raise StoreError(f"{name[:160]!r} is no name of a repository", refusal="NAME_INVALID")
    return name


def _is_name(name: str) -> bool:
    try:
        parsed = parse_docker_reference(f"localhost/{name}")
    except InvalidReferenceError:
        return False
    whole = parsed.path == name and parsed.domain == "localhost"
    return whole and _RESERVED.isdisjoint(name.split("/"))
