import numpy as np
import scipy.sparse as sp
import torch

from unisid.layers.recall import Memory, MemoryConfig, Part
from unisid.ops.related import PAD, Table

N = 20


class Small(MemoryConfig):
    def parts(self):
        return (Part("next", 0.01), Part("like", 0.5), Part("next", 0.1))


CONFIG = Small(recalled=5, neighbours=6, latest=3, recency=0.5, alike=())
BEFORE = torch.tensor([[3, 7, 3, 0], [5, PAD, PAD, PAD], [PAD] * 4])


def random_table(seed):
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(N)[:6] for _ in range(N)]).astype(np.int32)
    return Table(torch.from_numpy(items), -torch.from_numpy(-rng.random((N, 6)).astype(np.float32)).sort(1).values)


def memory():
    made = Memory(CONFIG, N)
    made.set("next", random_table(0))
    made.set("like", random_table(1))
    return made


def expected(made, before):
    """The parts of all items by plain loops."""
    found = np.zeros((len(before), N, 3))
    for place, part in enumerate(CONFIG.parts()):
        table = made.table(part.table)
        for row, history in enumerate(before.tolist()):
            mass = np.zeros(N)
            for age, item in enumerate(history[:3]):
                for other, value in zip(table.items[item], table.values[item], strict=True) if item != PAD else ():
                    mass[other] += 0.5**age * float(value)
            mass[[item for item in history if item != PAD]] = 0.0
            found[row, :, place] = np.log1p(mass / part.eps)
    return found


def test_both_ways_give_the_logarithms_of_the_masses_and_nothing_to_items_of_the_history():
    made = memory()
    held = made.entries(BEFORE)
    whole = torch.stack(list(made.of_all(held, BEFORE, N)), 2)
    assert np.allclose(whole, expected(made, BEFORE), atol=1e-4)
    some = torch.tensor([[3, 9, 0], [5, 19, 2], [1, 2, 3]])
    assert torch.allclose(made.of(held, BEFORE, some), whole.gather(1, some[:, :, None].expand(-1, -1, 3)), atol=1e-5)


def test_what_is_recalled_has_the_largest_weighted_sums_once_each():
    made, weights = memory(), torch.tensor([1.0, 0.0, 3.0])
    scores = torch.from_numpy(expected(made, BEFORE)).float() @ weights
    found = made.recalled(made.entries(BEFORE), BEFORE, weights.expand(3, -1))
    assert found.shape == (3, 5)
    for row in (0, 1):
        assert set(found[row].tolist()) == set(scores[row].topk(5).indices.tolist())
    assert found[2].tolist() == [PAD] * 5


def test_a_table_that_was_never_filled_says_nothing():
    made = Memory(CONFIG, N)
    assert torch.stack(list(made.of_all(made.entries(BEFORE), BEFORE, N))).abs().max() == 0
    assert (made.recalled(made.entries(BEFORE), BEFORE, torch.ones(3, 3)) == PAD).all()


def test_new_items_follow_and_are_followed_as_what_they_are_like():
    """Items 0 to 9 in a ring of transitions; 10 to 19 are new, each with the vector and the words of one of them."""
    config = MemoryConfig(neighbours=6, alike=("graph",))
    ring = np.eye(N // 2, k=1) + np.eye(N // 2, k=1 - N // 2)
    whole = np.zeros((N, N))
    whole[: N // 2, : N // 2] = ring
    made = Memory(config, N)
    made.set("next", Table.strongest(sp.csr_matrix(whole), 6))
    vectors = torch.from_numpy(np.tile(np.eye(N // 2, dtype=np.float32), (2, 1)))
    made.take_in(N // 2, {"graph": vectors}, [f"word{item % 10}" for item in range(N)])
    follows, like = made.table("next"), made.table("like_graph")
    for item in range(N):
        after = (item + 1) % 10
        assert {i for i in follows.items[item].tolist() if i != PAD} == {after, after + 10}
        assert like.items[item, 0] == (item + 10) % N
    assert made.table("next_next").items[3, 0] != PAD
    assert made.table("words_next").items[3].max() >= 0


def test_where_nothing_is_known_of_new_items_the_tables_stay():
    made = memory()
    before = made.table("next").items.clone()
    made.take_in(15, {}, ())
    assert torch.equal(made.table("next").items, before)
