"""Arrays that processes of a machine map: made once, equal, in memory once, and gone when no process holds them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from unisid.errors import ArtifactError, DataError
from unisid.runtime import leftovers
from unisid.serving import mapped
from unisid.serving.mapped import hold, key_of, remove_unused

ARRAYS = {
    "numbers": np.arange(12, dtype=np.int32).reshape(4, 3),
    "none": np.empty((0, 3), np.float32),
    "flag-s": np.array([True, False]),
    "texts": pa.array(["a", None, "é"]),
    "no_texts": pa.array([], pa.string()),
}
MEBIBYTES = 64
CHILD = f"""if True:
    import sys
    from pathlib import Path

    import numpy as np

    from unisid.serving.mapped import hold

    def make():
        print("made", flush=True)
        return {{"large": np.ones({MEBIBYTES} << 20, np.uint8)}}

    folder = None if sys.argv[1] == "-" else Path(sys.argv[1])
    held = hold(folder, "large", make)
    assert held.arrays["large"].sum() == {MEBIBYTES} << 20
    print("ready", flush=True)
    for line in sys.stdin:
        values = dict(line.split()[:2] for line in open("/proc/self/smaps_rollup") if "kB" in line)
        print(int(values["Private_Dirty:"]) + int(values["Private_Clean:"]), flush=True)
"""


@pytest.fixture
def child():
    """Begins processes that hold an array; they end with the test."""
    every = []

    def begun(folder):
        every.append(
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        return every[-1]

    yield begun
    for process in every:
        process.kill()
        process.communicate()


def until_ready(process):
    """What it printed first."""
    return [line.strip() for line in iter(process.stdout.readline, "ready\n")]


def private_mebibytes(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline()) / 1024


def same(found, expected):
    for name, values in expected.items():
        if isinstance(values, pa.Array):
            assert found[name].equals(values)
        else:
            np.testing.assert_array_equal(found[name], values, strict=True)
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("mapping", [True, False])
def test_what_is_held_is_what_was_made(tmp_path, mapping):
    same(hold(tmp_path if mapping else None, "key", lambda: dict(ARRAYS)).arrays, ARRAYS)


def test_arrays_are_made_once_and_removed_with_their_last_holder(tmp_path):
    made = []
    first = hold(tmp_path, "key", lambda: made.append(1) or dict(ARRAYS))
    second = hold(tmp_path, "key", lambda: made.append(2) or dict(ARRAYS))
    other = hold(tmp_path, "other", lambda: dict(ARRAYS))
    assert made == [1]
    second.arrays["numbers"][0, 0] = 7  # a process's own
    assert first.arrays["numbers"][0, 0] == 0
    del first
    remove_unused(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "other"]
    values = second.arrays
    del second
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    same(values, {**ARRAYS, "numbers": values["numbers"]})  # what is still mapped stays
    del other
    assert [*tmp_path.iterdir()] == []


def test_two_processes_have_the_array_in_memory_once(tmp_path, child):
    alone = [child("-") for _ in range(2)]
    for process in alone:
        until_ready(process)
    together = [child(tmp_path), child(tmp_path)]
    assert sorted(len(until_ready(process)) for process in together) == [0, 1]  # one of them made it
    assert all(private_mebibytes(process) > MEBIBYTES for process in alone)
    least = min(map(private_mebibytes, alone))
    assert all(private_mebibytes(process) < least - 0.8 * MEBIBYTES for process in together)


def test_of_killed_processes_nothing_is_left(tmp_path, child):
    first, second = child(tmp_path), child(tmp_path)
    until_ready(first), until_ready(second)
    first.kill()
    first.wait()
    remove_unused(tmp_path)
    assert (tmp_path / "large").exists()  # the other one has it
    third = child(tmp_path)
    assert until_ready(third) == []
    for process in (second, third):
        process.kill()
        process.wait()
    hold(tmp_path, "other", lambda: dict(ARRAYS))
    assert not (tmp_path / "large").exists()


def test_who_is_killed_while_it_makes_costs_the_others_nothing_but_the_making(tmp_path):
    def half():
        (tmp_path / "key" / "numbers.npy").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, "key", half))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    same(hold(tmp_path, "key", lambda: dict(ARRAYS)).arrays, ARRAYS)


def test_of_many_that_come_at_once_one_makes(tmp_path):
    made, found = [], []

    def make():
        made.append(time.sleep(0.2))
        return dict(ARRAYS)

    threads = [threading.Thread(target=lambda: found.append(hold(tmp_path, "key", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    for held in found:
        same(held.arrays, ARRAYS)


def test_files_that_were_removed_by_hand_or_cut_short_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "TRIES", 3)
    kept = [hold(tmp_path, "key", lambda: dict(ARRAYS))]
    for spoil in (Path.unlink, lambda file: file.write_bytes(b"")):
        spoil(tmp_path / "key" / "texts.arrow")
        kept.append(hold(tmp_path, "key", lambda: dict(ARRAYS)))
        same(kept[-1].arrays, ARRAYS)
    kept.clear()
    assert [*tmp_path.iterdir()] == []


def test_where_nothing_can_be_written_a_process_has_its_own(tmp_path, monkeypatch):
    def full(path, name, values):
        raise OSError("no space left on device")

    monkeypatch.setattr(mapped, "_write", full)
    found = hold(tmp_path, "key", lambda: dict(ARRAYS))
    same(found.arrays, ARRAYS)
    assert found.path is None
    assert [*(tmp_path / "key").iterdir()] == []


def test_what_making_raises_is_raised_and_the_next_one_makes(tmp_path):
    def wrong():
        raise DataError("no such thing")

    with pytest.raises(DataError, match="no such thing"):
        hold(tmp_path, "key", wrong)
    same(hold(tmp_path, "key", lambda: dict(ARRAYS)).arrays, ARRAYS)


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = mapped.here()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(ArtifactError, match="is not this user's own folder"):
        mapped.here()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ArtifactError, match="is not this user's own folder"):
        mapped.here()


def test_any_session_removes_what_no_process_maps(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped.tempfile, "gettempdir", lambda: str(tmp_path))
    kept = hold(mapped.here(), "kept", lambda: dict(ARRAYS))
    (mapped.here() / "left").mkdir()
    leftovers.sweep()
    assert [path.name for path in mapped.here().iterdir()] == ["kept"]
    assert kept.path is not None


def test_keys_differ_with_what_they_are_of():
    assert key_of("a", "b") == key_of("a", "b") != key_of("a", "c")
