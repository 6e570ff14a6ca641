"""Both back ends under the same input: nothing to compare where the package was built without extensions."""

from __future__ import annotations

from plimsoll.native._build import EXTENSIONS

collect_ignore_glob = [] if EXTENSIONS else ["test_*.py"]
