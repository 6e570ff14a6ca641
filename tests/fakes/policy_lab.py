"""The policy lab of tests/vectors/policy, laid out in a folder, and its cases run in this process."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors" / "policy"
LOCAL = json.loads((VECTORS / "cases.json").read_bytes())
DOCKER = json.loads((VECTORS / "cases-docker.json").read_bytes())
_VERBATIM = ("policies", "keys", "registries.d", "conf", "lookaside")


def lay_out(folder, *, registry="127.0.0.1:1"):
    """Write the lab below ``folder`` with @LAB@ and @REG@ filled in; gives the lab's path."""
    lab = Path(os.path.realpath(folder)) / "lab"
    for name in _VERBATIM:
        shutil.copytree(VECTORS / name, lab / name)
    for path, content in json.loads((VECTORS / "tree.json").read_bytes()).items():
        (lab / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(VECTORS / "pool" / content, lab / path)
    (lab / "images" / "link").symlink_to("ns")
    (lab / "lookaside-empty").mkdir()
    for name in ("policies", "registries.d", "conf"):
        for path in (lab / name).rglob("*.*"):
            if path.is_file():
                path.write_text(
                    filled_in(path.read_text(errors="surrogateescape"), lab, registry), errors="surrogateescape"
                )
    return lab


def filled_in(text, lab, registry="127.0.0.1:1"):
    return text.replace("@LAB@", str(lab)).replace("@REG@", registry)


def push(lab, root):
    """Make the layouts that the docker cases name repositories below ``root``."""
    for item in DOCKER["push"]:
        shutil.copytree(lab / item["layout"], root / item["repo"])
