"""A node that will be taken away: its notice saves the fit in the middle of an epoch, which goes on elsewhere."""

import pytest

from tests.runtime import preempted, toy_long
from unisid.runtime.local import LocalCompute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_notice_of_a_node_saves_the_fit_and_another_node_goes_on(tmp_path):
    """Without notice the fit begins anew: python -m tests.runtime.preempted."""
    found = preempted.story(tmp_path, notice=True)
    again = found.repeated
    assert preempted.BEGUN < again.start < toy_long.STEPS, "it began its first epoch again"
    assert len(found.steps) == toy_long.STEPS * toy_long.EPOCHS + len(again)
    (tmp_path / "calm").mkdir()
    assert found.weights == toy_long.fit(LocalCompute(), tmp_path / "calm", 0.0)
