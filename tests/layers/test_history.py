import torch

from unisid.layers.history import LATELY, QUICK, Repeat, Seen, at_end, taken_of_all, taken_of_some

PAD = -1


def test_an_item_that_came_again_counts_at_its_latest_place_as_often_as_it_came():
    seen = Seen(torch.tensor([[4, 2, 4, 4, 4, 4], [7, PAD, PAD, PAD, PAD, PAD]]))
    assert seen.real.tolist() == [[True, True] + [False] * 4, [True] + [False] * 5]
    assert seen.times[0, :2].tolist() == [3, 1]  # three stands for three and more
    assert seen.times[1, 0] == 1


def test_a_single_target_stands_where_the_history_ends():
    histories = torch.tensor([[4, 2, 6], [7, PAD, PAD]])
    assert at_end(histories, torch.tensor([9, 0])).tolist() == [[PAD, PAD, 9], [0, PAD, PAD]]


def test_the_term_is_the_sum_of_age_times_and_state_and_begins_at_zero():
    seen, states = Seen(torch.tensor([[4, 2, 4], [7, PAD, PAD]])), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    term = Repeat(2, 5)
    assert term(states, seen).abs().max() == 0
    term.age.data = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    term.times.data = torch.tensor([9.0, -0.1, 0.05, 0.0])
    term.state.weight.data = torch.tensor([[0.5, 0.25]])
    found = term(states, seen)
    expected = [[QUICK * (0.1 + 0.05) + 1.0, QUICK * (0.2 - 0.1) + 1.0, 0.0], [QUICK * (0.1 - 0.1) + 2.5, 0.0, 0.0]]
    assert torch.allclose(found, torch.tensor(expected))


def test_the_term_is_bounded_so_that_its_exponential_stays_exact():
    term = Repeat(2, 5)
    term.age.data.fill_(100.0)
    assert term(torch.zeros(1, 2), Seen(torch.tensor([[1]]))).tolist() == [[8.0]]


def test_what_was_taken_counts_by_its_latest_place_for_all_items_and_for_some():
    before = torch.tensor([[4, 2, 4], [7, PAD, PAD]])
    taken, lately = taken_of_all(before, 9)
    assert taken.nonzero().tolist() == [[0, 2], [0, 4], [1, 7]]
    assert torch.allclose(lately[0, [2, 4]], torch.tensor([LATELY, 1.0]))
    items = torch.tensor([[2, 3, 4], [0, 7, 8]])
    for some, whole in zip(taken_of_some(before, items), (taken, lately), strict=True):
        assert torch.equal(some, whole.gather(1, items))


def test_what_was_taken_very_long_ago_still_counts_as_taken():
    before = torch.arange(700)[None]
    taken, lately = taken_of_all(before, 700)
    assert taken.min() == 1
    assert lately.min() > 0
