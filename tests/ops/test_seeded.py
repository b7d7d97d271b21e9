import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.seeded import hash_strings, mix, pair

MASK = (1 << 64) - 1


def hashes(strings, seed=0):
    data = [s.encode() for s in strings]
    offsets = np.cumsum([0, *map(len, data)])
    return hash_strings(np.frombuffer(b"".join(data), np.uint8), offsets, seed)


def plain_mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def plain_hash(text, seed):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return plain_mix(value ^ plain_mix(seed))


@given(st.lists(st.text(max_size=12), max_size=8), st.integers(0, MASK))
def test_equals_the_hash_of_one_string_at_a_time(strings, seed):
    assert hashes(strings, seed).tolist() == [plain_hash(s, seed) for s in strings]


@given(st.integers(0, MASK))
def test_mix_equals_plain_integers(value):
    assert mix(np.array([value], np.uint64)).tolist() == [plain_mix(value)]


def test_order_changes_with_the_seed_and_pairs_are_ordered():
    names = [f"item-{n}" for n in range(100)]
    assert np.argsort(hashes(names, 1)).tolist() != np.argsort(hashes(names, 2)).tolist()
    a, b = hashes(["a"]), hashes(["b"])
    assert pair(a, b) != pair(b, a)


def test_the_seeded_order_is_no_trace_of_the_source_order():
    rank = np.argsort(np.argsort(hashes([f"B{n:09d}" for n in range(10_000)], 42)))
    assert abs(np.corrcoef(rank, np.arange(10_000))[0, 1]) < 0.05
