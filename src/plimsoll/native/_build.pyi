# _build.py is written by setup.py when the package is built.
from typing import Final

EXTENSIONS: Final[bool]
