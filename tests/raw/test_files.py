import bz2
import errno
import gzip

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.artifacts.failing_disks import Brittle
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.raw import files, folders
from unisid.raw.content import no_table


@given(data=st.binary(max_size=200), size=st.integers(1, 50))
def test_blocks_are_whole_lines_and_know_their_numbers(tmp_path_factory, data, size):
    assume(not no_table(data))
    path = tmp_path_factory.mktemp("blocks") / "lines.gz"
    path.write_bytes(gzip.compress(data))
    found = list(files.blocks(str(path), size))
    assert b"".join(block for _, block in found) == data
    number = 1
    for first, block in found:
        assert first == number
        number += block.count(b"\n")
    assert all(block.endswith(b"\n") for _, block in found[:-1])


@pytest.mark.parametrize("codec", ["gzip", "bz2", "zstd", "xz"])
def test_what_is_compressed_twice_is_called_so(tmp_path, codec):
    import lzma

    import pyarrow as pa

    text = b"item_id,title\n1,Pen\n" * 50
    ways = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    way = ways.get(codec, lambda data: pa.compress(data, "zstd", asbytes=True))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(way(text)))
    with pytest.raises(DataError, match=rf"a.csv.gz: is compressed twice \({codec} inside\); unpack it once$"):
        files.read_whole(str(tmp_path / "a.csv.gz"))


def test_a_digest_is_of_the_content_and_not_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 16)
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "b").write_bytes(b"x" * 100)
    (tmp_path / "c").write_bytes(b"x" * 99 + b"y")
    a, b, c = (files.digest(str(tmp_path / name)) for name in "abc")
    assert a == b != c


def test_the_digest_of_a_large_file_sees_its_size_and_both_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WHOLE", 1000)
    monkeypatch.setattr(files, "BLOCK", 16)
    variants = [b"x" * 5000, b"x" * 5001, b"y" + b"x" * 4999, b"x" * 4999 + b"y"]
    digests = set()
    for n, data in enumerate(variants):
        (tmp_path / str(n)).write_bytes(data)
        digests.add(files.digest(str(tmp_path / str(n))))
    assert len(digests) == len(variants)


def test_an_empty_file_has_a_digest(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert len(files.digest(str(tmp_path / "a"))) == 64


def test_a_file_that_may_not_be_read_is_named(monkeypatch):
    """It is there, so it is found; its bytes are another's."""
    folder = Place.of("brittle://locked")
    folder.write("items.csv", b"item_id,title\n")
    path = files.find("catalog.dataset.items", f"{folder}/items.csv")

    def refuse(*asked, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Brittle, "_open", refuse)
    for reading in (files.digest, files.read_whole):
        with pytest.raises(
            DataError, match=r"locked/items.csv: cannot be read \(.*Permission denied.*\); check rights"
        ):
            reading(path)


def test_a_folder_without_tables(tmp_path):
    with pytest.raises(DataError, match=r"dataset.items: the folder .* holds no file that ends in .parquet"):
        folders.find_tables("dataset.items", str(tmp_path))


def test_in_a_job_a_relative_path_that_leads_nowhere_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(DataError, match="no file 'data/items.csv'; a job sees its own copy of .*data/"):
        files.find("catalog.dataset.items", "data/items.csv")
    for path in (f"{tmp_path}/items.csv", "file:///none/items.csv"):
        with pytest.raises(DataError) as caught:
            files.find("catalog.dataset.items", path)
        assert "a job sees" not in str(caught.value)
