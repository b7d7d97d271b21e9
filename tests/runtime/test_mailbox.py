"""The mailbox, without Ray: who gets which job, and when a fit is given up."""

import asyncio

import pytest

from unisid.runtime.mailbox import Mailbox


def run(story):
    async def told():
        async with asyncio.timeout(5):
            return await story(Mailbox(max_failures=2))

    return asyncio.run(told())


def test_every_rank_gets_a_job_once_and_waits_for_the_next():
    async def story(box):
        assert await box.put(b"first") == 0
        assert [await box.take(-1, rank) for rank in (0, 1)] == [(0, b"first")] * 2
        waiting = asyncio.create_task(box.take(0, 1))
        await box.post(0, ("result", b"1"))
        await box.put(b"second")
        assert await waiting == (1, b"second")

    run(story)


def test_a_new_group_finds_the_job_that_is_not_over_and_no_other():
    async def story(box):
        await box.put(b"job")
        await box.take(-1, 0)
        assert await box.take(-1, 0) == (0, b"job")
        await box.post(0, ("result", b"1"))
        waiting = asyncio.create_task(box.take(-1, 0))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await box.close()
        assert await waiting is None

    run(story)


def test_events_are_heard_in_order_and_nothing_after_the_end():
    async def story(box):
        await box.put(b"job")
        waiting = asyncio.create_task(box.events_of(0, 0))
        await box.post(0, ("report", (0, {})))
        assert await waiting == [("report", (0, {}))]
        await box.post(0, ("error", b"x"))
        await box.post(0, ("result", b"late"))
        assert await box.events_of(0, 1) == [("error", b"x")]
        assert await box.put(b"next") == 1
        await box.post(0, ("report", (1, {})))  # of a job that is no more
        await box.post(1, ("report", (2, {})))
        assert await box.events_of(1, 0) == [("report", (2, {}))]


def test_nothing_is_heard_after_it_was_closed_and_the_controller_is_handed_out():
    async def story(box):
        await box.put(b"job")
        await box.introduce("controller")
        assert await box.close() == "controller"
        await box.post(0, ("result", b"1"))
        assert box.slots[0].events == []

    run(story)


def test_events_of_a_group_without_a_controller_yet():
    async def story(box):
        assert await box.close() is None

    run(story)


def test_a_fit_whose_workers_keep_dying_is_given_up():
    async def story(box):
        await box.put(b"job")
        for _ in range(3):
            assert await box.take(-1, 0)
        with pytest.raises(RuntimeError, match=r"its workers died 3 times; the last one said: nothing: killed"):
            await box.take(-1, 0)
        assert (await box.events_of(0, 0))[0][0] == "lost"

    run(story)


def test_a_node_that_was_taken_away_as_announced_is_no_failure():
    async def story(box):
        await box.put(b"job")
        for _ in range(5):
            assert await box.take(-1, 0)
            await box.spare(0)
        for _ in range(3):
            assert await box.take(-1, 0)
        with pytest.raises(RuntimeError, match=r"its workers died 3 times"):
            await box.take(-1, 0)

    run(story)


def test_the_same_error_from_the_same_checkpoint_is_final():
    async def story(box):
        await box.put(b"job")
        await box.take(-1, 0)
        await box.report_retryable_error(0, "E: x", 3, b"x")
        await box.report_retryable_error(0, "E: x", 3, b"x")  # two ranks of one attempt
        await box.take(-1, 0)
        await box.report_retryable_error(0, "E: x", 4, b"x")  # it got further
        await box.take(-1, 0)
        await box.report_retryable_error(0, "E: x", 4, b"y")
        assert await box.events_of(0, 0) == [("error", b"y")]

    run(story)
