"""The tracker that writes nothing takes all that a run gives one."""

from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.tracker import NullTracker, Tracker


def test_a_silent_tracker_takes_a_whole_run_and_leaves_nothing(tmp_path):
    tracker: Tracker = NullTracker()
    place = Place.of(tmp_path)
    with tracker.pipeline("r", {"a": 1}, {"note": ""}), tracker.stage("catalog", {"a": 1}) as log:
        log.metrics({"loss": 1.0})
        log.finish(Record(address="catalog/r/1", config={}, inputs={}), place)
    tracker.publish("r", {}, place)
    assert (tracker.uri, tracker.trouble) == ("", "")
    assert list(tmp_path.iterdir()) == []
