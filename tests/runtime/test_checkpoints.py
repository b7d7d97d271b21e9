"""Checkpoints are whole or absent, on a disk as on an object store, and only the newest stays."""

import pytest

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError
from unisid.runtime.checkpoints import Checkpoints, Position


@pytest.fixture(params=["disk", "memory"])
def checkpoints(request, tmp_path):
    work = Place.of(tmp_path if request.param == "disk" else f"memory://{tmp_path.name}")
    yield Checkpoints(work, "codes/toy")
    work.clear()


def writing(text):
    def save(directory):
        (directory / "state.txt").write_text(text)
        (directory / "model").mkdir()
        (directory / "model" / "part").write_text(text)

    return save


def test_the_newest_is_kept(checkpoints, tmp_path):
    assert checkpoints.last() is None
    for number in (0, 3, 12):
        checkpoints.commit(Position(number + 1), writing(str(number)))
    assert checkpoints.last() == Position(13)
    found = checkpoints.fetch(Position(13), tmp_path)
    assert (found / "state.txt").read_text() == (found / "model" / "part").read_text() == "12"
    assert [f for f in checkpoints.place.folders() if f.startswith("checkpoint")] == ["checkpoint-000012"]


def test_work_done_again_takes_the_place_of_the_old(checkpoints, tmp_path):
    checkpoints.commit(Position(5), writing("long ago"))
    checkpoints.commit(Position(2), writing("begun anew"))
    checkpoints.commit(Position(2), writing("and again"))
    assert checkpoints.last() == Position(2)
    assert (checkpoints.fetch(Position(2), tmp_path) / "state.txt").read_text() == "and again"


def test_a_half_written_one_is_not_there(checkpoints):
    def save(directory):
        writing("half")(directory)
        raise KeyboardInterrupt

    checkpoints.commit(Position(1), writing("whole"))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.commit(Position(2), save)
    assert checkpoints.last() == Position(1)
    (checkpoints.place / "checkpoint-000007").write("state.txt", b"no mark")
    assert checkpoints.last() == Position(1)


def test_one_between_two_reports_is_newer_than_the_first_and_older_than_the_second(checkpoints, tmp_path):
    for position in (Position(0, 7), Position(1), Position(1, 9), Position(1, 10), Position(2)):
        checkpoints.commit(position, writing(str(position)))
        assert checkpoints.last() == position
        assert (checkpoints.fetch(position, tmp_path / str(position)) / "state.txt").read_text() == str(position)
        [kept] = [folder for folder in checkpoints.place.folders() if folder.startswith("checkpoint")]
        assert Position.of(kept) == position
    assert Position(1, 9).folder == "checkpoint-000001.9"


def test_a_full_disk_is_said_clearly(tmp_path):
    def save(directory):
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtifactError, match=r"checkpoint-000004 cannot be written \(.*No space left.*\); free space"):
        Checkpoints(Place.of(tmp_path), "toy").commit(Position(5), save)
