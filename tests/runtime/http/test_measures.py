"""Metrics of a replica: as Prometheus reads them, and always of one pair."""

from types import SimpleNamespace

from unisid.runtime.http.measures import Measures


def versions(number):
    return SimpleNamespace(index_fingerprint=f"i{number}", model_fingerprint=f"m{number}")


def pairs(measures, name):
    return [line for line in measures.text().decode().splitlines() if line.startswith(f"unisid_{name}{{")]


def test_one_pair_is_in_use_and_at_most_one_on_trial():
    measures = Measures()
    for number in (1, 2):
        measures.in_use(versions(number))
        measures.try_out(versions(number))
    for name in ("pair", "candidate"):
        assert pairs(measures, name) == [f'unisid_{name}{{index_fingerprint="i2",model_fingerprint="m2"}} 1.0']
    measures.try_out(None)
    assert pairs(measures, "candidate") == []


def test_replicas_of_one_process_count_for_themselves():
    one, other = Measures(), Measures()
    one.requests.labels("/recommend", "200").inc()
    one.seconds.labels("/recommend").observe(0.003)
    assert 'unisid_requests_total{path="/recommend",status="200"} 1.0' in one.text().decode()
    assert "/recommend" not in other.text().decode()
