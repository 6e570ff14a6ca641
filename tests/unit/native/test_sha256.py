from __future__ import annotations

import hashlib
import pickle

import pytest

from plimsoll.errors import FileHashError
from plimsoll.native import Sha256, sha256_files, sha256_many, sha256_update_many


def test_the_empty_cases():
    assert sha256_many([]) == []
    assert sha256_files([]) == []
    sha256_update_many([])
    assert Sha256().hexdigest() == hashlib.sha256().hexdigest()


def test_one_answer_however_the_bytes_come(tmp_path):
    data = bytes(range(256)) * 700
    digest = hashlib.sha256(data).digest()
    first, second = Sha256(), Sha256()
    sha256_update_many([(first, data[:1000]), (second, data)])
    first.update(data[1000:])
    (tmp_path / "data").write_bytes(data)
    with (tmp_path / "data").open("rb") as file:
        assert sha256_files([file.fileno()]) == sha256_many([data]) == [first.digest()] == [second.digest()] == [digest]


def test_a_file_that_cannot_be_read_is_named_and_the_error_survives_a_pickle():
    with pytest.raises(FileHashError) as refused:
        sha256_files([-1])
    again = pickle.loads(pickle.dumps(refused.value))
    assert (again.errno, again.strerror, again.index) == (refused.value.errno, refused.value.strerror, 0)
    assert FileHashError(5, "text", index=3).index == 3
