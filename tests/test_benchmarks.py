"""Ratios beside peers are found in dated results, and a fall is told; and what the simulations over time share."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file

from benchmarks import codes_error, graph_epoch, trie, two_nodes, workers
from benchmarks.__main__ import MISSING, compare, compared, last_of, ratios
from benchmarks._by_time import BEGINS, YEAR, parts, timed_by_place
from benchmarks._edges import drawn
from benchmarks._samples import clustered, samples_of
from unisid.config import to_record

REACH = "import socket, sys; sys.exit(socket.socket().connect_ex((sys.argv[1], 9)))"
OLD = {"seconds": 3, "beam": {"ratio": 5.0, "times_faster": 2}, "rows": [{"ratio": 1}], "unisid": {"ratio": None}}


def test_ratios_have_dotted_names():
    assert ratios(OLD) == {"beam.ratio": 5.0, "beam.times_faster": 2.0}


def test_the_newest_results_that_succeeded_count(tmp_path):
    for date, figures in (("2026-01-01", OLD), ("2026-01-02", {"failed": 1})):
        (tmp_path / f"{date}.json").write_text(json.dumps({"results": {"decode": figures}}))
    (tmp_path / "2026-01-03-week.json").write_text("{}")
    assert last_of("decode", tmp_path) == ("2026-01-01", OLD)
    assert last_of("trie", tmp_path) is None


def test_a_fall_is_told_and_fails(tmp_path, capsys):
    (tmp_path / "2026-01-01.json").write_text(json.dumps({"results": {"decode": OLD}}))
    slower = OLD | {"beam": {"ratio": 3.9, "times_faster": 1.7}}
    lines, fallen = compared("decode", slower, tmp_path)
    assert fallen
    assert lines == [
        "decode.beam.ratio: 5 on 2026-01-01, 3.9 now  <-- has fallen",
        "decode.beam.times_faster: 2 on 2026-01-01, 1.7 now",
    ]
    assert compare({"decode": slower}, tmp_path) == 1
    assert compare({"decode": OLD, "trie": {}}, tmp_path) == 0
    assert compare({"trie": {"failed": 1}}, tmp_path) == 1
    assert "trie: no dated results" in capsys.readouterr().out


def test_a_ratio_that_is_gone_has_fallen(tmp_path):
    (tmp_path / "2026-01-01.json").write_text(json.dumps({"results": {"decode": OLD}}))
    assert compared("decode", {"beam": {"ratio": 6.0}}, tmp_path)[1]


def test_a_peer_that_is_not_installed_is_named_and_skipped(tmp_path, capsys):
    figures = {"items_10": {"ratio": 0.9}, "loop": {"ratio": 4.0}}
    (tmp_path / "2026-01-01.json").write_text(json.dumps({"results": {"trie": figures}}))
    without = {"not_installed": ["rectokens"], "items_10": {}, "loop": {"ratio": 4.0}}
    assert compare({"trie": without}, tmp_path) == 0
    assert "trie.items_10.ratio: 0.9 on 2026-01-01, skipped now: rectokens is not installed" in capsys.readouterr().out
    assert compare({"trie": without | {"loop": {"ratio": 3.0}}}, tmp_path) == 1


def test_the_trie_names_the_peer_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(trie.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(trie, "INDICES", {50: 8})
    monkeypatch.setattr(trie, "SECONDS", 0.0)
    found = trie.main()
    assert found[MISSING] == ["rectokens"]
    assert ratios(found) == {}


def test_an_epoch_of_the_graph_stands_beside_its_peers():
    threads = torch.get_num_threads()
    found = graph_epoch.main(2_000, 300, 100)
    torch.set_num_threads(threads)
    assert found["edges"] >= 2_000
    assert {"sparse_coo.ratio", "index_add.ratio"} <= set(ratios(found))
    forms = graph_epoch.peers(drawn(30, 10, 50, torch.device("cpu")))
    with pytest.raises(AssertionError, match="sparse_coo: "):
        graph_epoch.same_answers({"unisid": lambda x: 2 * x, **forms}, torch.ones(40, 2))


def test_a_graph_is_timed_without_pytorch_geometric_where_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(graph_epoch.importlib.util, "find_spec", lambda name: None)
    threads = torch.get_num_threads()
    assert graph_epoch.main(500, 60, 20)["not_installed"] == ["torch_geometric"]
    torch.set_num_threads(threads)
    assert set(graph_epoch.peers(drawn(30, 10, 50, torch.device("cpu")))) == {"sparse_coo", "index_add"}


def test_time_to_equal_error_is_that_of_the_first_point_as_near():
    peer = [(1.0, 0.5), (4.0, 0.2), (9.0, 0.25)]
    assert codes_error.at_equal_error([(0.5, 0.3), (1.6, 0.2), (3.0, 0.1)], peer) == {
        "error": 0.2,
        "peer_seconds": 4.0,
        "seconds": 1.6,
        "ratio": 2.5,
    }
    never = codes_error.at_equal_error([(0.5, 0.3)], peer)
    assert (never["seconds"], never["least_error"]) == (None, 0.3)
    assert ratios(never) == {}


def test_what_codes_say_has_an_error_that_falls(monkeypatch):
    monkeypatch.setattr(codes_error, "CODES", 8)
    monkeypatch.setattr(codes_error, "ROUNDS", (1, 10))
    rows, others = codes_error.clusters(600).split([500, 100])
    points = codes_error.residual_kmeans(rows, others, 1) + codes_error.faiss_points(rows, others, 1)
    assert all(0 < found < 1 for _, found in points)
    [(seconds, found)] = codes_error.rqvae_curve(rows, others, 0.0)
    assert seconds > 0
    assert 0 < found < 2


def test_samples_are_what_users_took_next_after_all_that_they_took_before():
    def rows(*pairs):
        return pa.table({"user_id": [user for user, _ in pairs], "item_id": [item for _, item in pairs]})

    found = samples_of(rows("ua", "ub", "va"), rows("uc", "wa", "ud", "wb"), frozenset("abc"))
    assert list(zip(found.user, found.history, found.target, strict=True)) == [
        ("u", ["a", "b"], "c"),
        ("u", ["a", "b", "c"], "d"),
        ("w", ["a"], "b"),
    ]
    assert found.is_new.tolist() == [False, True, False]


def test_an_interval_over_users_takes_their_samples_together():
    apart = clustered(np.array([0.0, 1.0] * 50), np.arange(100).astype(str))
    together = clustered(np.array([0.0] * 50 + [1.0] * 50), np.array(["u"] * 50 + ["v"] * 50))
    assert apart["mean"] == together["mean"] == 0.5
    assert apart["low"] == pytest.approx(0.4, abs=0.03)
    assert (together["low"], together["high"]) == (0.0, 1.0)


def test_parts_are_in_order_and_hold_all():
    before, later = parts(pa.table({"n": list(range(100))}), 0.3, 7)
    assert before.num_rows == 30
    assert all(abs(part.num_rows - 10) <= 1 for part in later)
    assert pa.concat_tables([before, *later])["n"].to_pylist() == list(range(100))


def test_a_place_in_a_history_stands_for_a_time():
    users, positions = ["u"] * 4 + ["v"] * 2, [0, 1, 2, 3, 0, 1]
    found = timed_by_place(pa.table({"user_id": users, "item_id": list("abcdea"), "position": positions}))
    assert found.column_names == ["user_id", "item_id", "timestamp"]
    assert [(time - BEGINS) / YEAR for time in found["timestamp"].to_pylist()] == [
        1 / 8,
        3 / 8,
        5 / 8,
        7 / 8,
        1 / 4,
        3 / 4,
    ]


def test_two_nodes_make_what_one_process_makes_and_no_node_holds_both_workers_of_a_fit():
    one, two = (two_nodes.recipe(size, 2) for size in (1, 2))
    for noun in ("graph", "fused", "codes", "model"):
        alone, spread = getattr(one, noun), getattr(two, noun)
        assert to_record(alone, identity=True) == to_record(spread, identity=True)
        pool = spread.pool
        assert pool.workers == 2
        assert pool.cpus <= two_nodes.CPUS < 2 * pool.cpus
        assert int(pool.cpus) == 1, "as many threads as one process has"


def test_how_far_two_artifacts_are_alike_is_told_by_numbers(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder, weight, code in ((ours, 2.0, 7), (theirs, 4.0, 5)):
        folder.mkdir()
        save_file({"w": np.array([weight, -8.0]), "count": np.array(3)}, folder / "weights.safetensors")
        pq.write_table(pa.table({"codes": [[1, 2], [3, code]]}), folder / "items-00000.parquet")
        (folder / "record.json").write_text(str(weight))
    assert two_nodes.compared(ours, ours) == {"same_bytes": True}
    assert two_nodes.compared(ours, theirs) == {"same_bytes": False, "entries": 0.25, "decimals": 0.25}
    save_file({"w": np.array([4.0, -8.0]), "count": np.array(4)}, theirs / "weights.safetensors")
    assert two_nodes.compared(theirs, ours)["entries"] == 1.0, "of a tensor that is one number"
    for other, apart in ((np.inf, 1.0), (np.nan, 1.0), (2.0, 0.25)):
        save_file({"w": np.array([4.0, -8.0, np.nan, np.inf])}, ours / "weights.safetensors")
        save_file({"w": np.array([other, -8.0, np.nan, np.inf])}, theirs / "weights.safetensors")
        found = two_nodes.differences(theirs / "weights.safetensors", ours / "weights.safetensors")
        assert found == {"decimals": apart}
    (ours / "items-00001.parquet").touch()
    assert two_nodes.compared(ours, theirs) == {"same_bytes": False, "files": ["items-00001.parquet"]}


def test_bytes_a_step_are_those_by_which_a_longer_fit_sends_more():
    short, long = (
        {"bytes": 500 + 100 * steps, "seconds": 1.0, "last": {"step": steps, "loss": 2.0}, "parameters": 12}
        for steps in (4, 12)
    )
    figures = workers.of_stage("model", 2, short, long)
    assert (figures["steps"], figures["bytes_a_step"]) == (8, 100)
    assert figures["formula"] == 2 * 4 * 12, "a ring of two sends the gradient twice"
    assert figures["bytes_over_formula"] == pytest.approx(100 / 96, abs=1e-3)


def test_a_worker_counts_what_crosses_while_it_trains(monkeypatch):
    counts = iter((70, 100))
    monkeypatch.setattr(two_nodes, "crossed", lambda: next(counts))
    assert two_nodes.counting(lambda worker, task: (worker, task), "worker", "task") == (("worker", "task"), 30)


@pytest.mark.skipif(shutil.which("ip") is None or os.geteuid() != 0, reason="network namespaces are root's")
def test_two_namespaces_reach_each_other_by_one_wire_and_are_gone_with_what_runs_in_them():
    def names():
        found = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
        return {line.split()[0] for line in found.stdout.splitlines()}

    def interrupted():
        with two_nodes.network() as (first, second):
            running.append(subprocess.Popen([*two_nodes.within(second), "sleep", "600"]))
            reach = [*two_nodes.within(first), sys.executable, "-c", REACH, two_nodes.ADDRESSES[1]]
            assert names() - before == {first, second}
            assert subprocess.run(reach, check=False).returncode == errno.ECONNREFUSED, "by a machine that is there"
            raise KeyboardInterrupt

    before, running = names(), []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert running[0].wait(timeout=20) == -signal.SIGKILL
    assert names() == before
