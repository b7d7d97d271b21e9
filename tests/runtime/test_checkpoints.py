"""Checkpoints are whole or absent, on a disk as on an object store, and only the newest stays."""

import pytest

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError
from unisid.runtime.checkpoints import Checkpoints


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
        checkpoints.commit(number, writing(str(number)))
    assert checkpoints.last() == 12
    found = checkpoints.fetch(12, tmp_path)
    assert (found / "state.txt").read_text() == (found / "model" / "part").read_text() == "12"
    assert [f for f in checkpoints.place.folders() if f.startswith("checkpoint")] == ["checkpoint-000012"]


def test_work_done_again_takes_the_place_of_the_old(checkpoints, tmp_path):
    checkpoints.commit(5, writing("long ago"))
    checkpoints.commit(2, writing("begun anew"))
    checkpoints.commit(2, writing("and again"))
    assert checkpoints.last() == 2
    assert (checkpoints.fetch(2, tmp_path) / "state.txt").read_text() == "and again"


def test_a_half_written_one_is_not_there(checkpoints):
    def save(directory):
        writing("half")(directory)
        raise KeyboardInterrupt

    checkpoints.commit(1, writing("whole"))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.commit(2, save)
    assert checkpoints.last() == 1
    (checkpoints.place / "checkpoint-000007").write("state.txt", b"no mark")
    assert checkpoints.last() == 1


def test_a_full_disk_is_said_clearly(tmp_path):
    def save(directory):
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtifactError, match=r"checkpoint 4 cannot be written \(.*No space left.*\); free space"):
        Checkpoints(Place.of(tmp_path), "toy").commit(4, save)
