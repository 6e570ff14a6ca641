"""Names of test cases that are the same in every process, and no deadline for generated ones: machines are shared."""

import gc

from hypothesis import settings

settings.register_profile("plimsoll", deadline=None)
settings.load_profile("plimsoll")


def pytest_collection_finish():
    """What the tests themselves are made of stays to the end: no collection need look through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val, argname):
    """Keys and signatures are made anew in each process, so they name no test."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 60):
        return argname
    return None
