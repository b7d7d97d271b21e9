"""What trackers are told of trials: the validation curve alone; and the tracker that keeps nothing."""

from unisid.artifacts.curve import write_curve
from unisid.trials.telling import NullExperimentTracker, validation_curve


def test_only_what_validation_found_is_told(place):
    write_curve(place, [(1, "loss", 0.5), (1, "valid_score", 0.1), (2, "valid_hr_10", 0.2), (2, "invalid_x", 1.0)])
    assert validation_curve(place) == [(1, "valid_score", 0.1), (2, "valid_hr_10", 0.2)]
    assert validation_curve(place / "none") == []


def test_the_null_tracker_takes_everything(place):
    tracker = NullExperimentTracker()
    with tracker.search("s", {"a": 1}):
        tracker.trial("t", {}, {"index": 0.5}, {}, [])
    tracker.publish("s", {}, place)
    assert place.sizes() == {}
