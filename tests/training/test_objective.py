"""What an objective may bring: parts with rates of their own."""

from unisid.training.objective import WHOLE, parts_of, shares_of


class InTurns:
    parts = ("left.", "")

    def shares(self, epoch):
        return (1.0, 0.0) if epoch % 2 == 0 else (0.0, 1.0)


def test_parts_and_their_shares_are_the_objective_s():
    assert parts_of(InTurns()) == ("left.", "")
    assert [shares_of(InTurns(), epoch) for epoch in range(2)] == [(1.0, 0.0), (0.0, 1.0)]


def test_any_other_objective_is_one_part_at_the_whole_rate():
    assert (parts_of(object()), shares_of(object(), 3)) == (WHOLE, (1.0,))
