"""Files beside the checksums of their record: compared once a process and file, again where the file has changed."""

import pyarrow as pa
import pytest

from unisid.artifacts import reading
from unisid.artifacts.reading import SETTING, contents, damaged, opened, unverified, verifies, whole
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, ConfigError, UnreadableError


@pytest.fixture
def artifact(place, monkeypatch):
    monkeypatch.setattr(reading, "_seen", {})
    monkeypatch.setattr(reading, "_sums", {})
    monkeypatch.setattr(reading, "SETTLED", 0)
    with place.writing("x.bin") as stream:
        stream.write(b"right")
    write_record(place, Record(address="codes/t/1", config={}, inputs={}, files=place.sizes()))
    return place


def spoil(place):
    place.write("x.bin", b"wrong")
    place.forget_sums()


def test_other_bytes_are_refused_by_every_way_of_reading(artifact):
    assert contents(artifact, "x.bin") == b"right"
    with opened(artifact, "x.bin") as source:
        assert source.read() == b"right", "it begins at the beginning"
    spoil(artifact)
    for read in (contents, opened):
        with pytest.raises(ArtifactError, match=r"x.bin: its bytes have changed .*crc32:\w{8}, its record says crc32"):
            read(artifact, "x.bin")


def test_a_file_is_compared_once(artifact, monkeypatch):
    compared = []
    real = reading.checksum
    monkeypatch.setattr(reading, "checksum", lambda source: compared.append(1) or real(source))
    for _ in range(3):
        contents(artifact, "x.bin")
    assert len(compared) == 1


def test_the_comparison_is_left_out_where_it_is_said(artifact, monkeypatch):
    spoil(artifact)
    with unverified():
        assert contents(artifact, "x.bin") == b"wrong"
    monkeypatch.setenv(SETTING, "never")
    assert contents(artifact, "x.bin") == b"wrong"
    monkeypatch.setenv(SETTING, "sometimes")
    with pytest.raises(ConfigError, match="UNISID_VERIFY: 'sometimes' must be once or never"):
        verifies()
    monkeypatch.setenv(SETTING, "")
    assert verifies()


def test_a_file_that_no_record_names_is_read_as_it_is(place):
    place.write("alone.bin", b"any")
    assert contents(place, "alone.bin") == b"any"


@pytest.mark.parametrize("error", [pa.ArrowInvalid("a\nb"), KeyError("a"), RecursionError("a"), OSError("a")])
def test_errors_of_a_format_name_the_file(place, error):
    with (
        pytest.raises(ArtifactError, match=r"/x: is not a table \(.*a.*\); delete this file"),
        whole(place, "x", "a table"),
    ):
        raise error


def test_what_may_not_be_read_is_not_called_damaged(place):
    afar = Place("memory://unisid-reading")
    for where, error in ((place, PermissionError(13, "no")), (afar, OSError("a timeout"))):
        with pytest.raises(UnreadableError, match="/x: cannot be read"), whole(where, "x", "a table"):
            raise error


def test_what_helps_depends_on_whether_the_artifact_is_complete(artifact, tmp_path):
    assert "delete this file" in str(damaged(Place.of(tmp_path / "other"), "x", "is bad"))
    assert "delete this file" not in str(damaged(artifact, "x.bin", "is bad"))
