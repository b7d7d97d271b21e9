"""The product's log: cleaned on every path, as lines or JSON, and no handler but those that an application sets."""

import json
import logging
import subprocess
import sys
import threading

import pytest

from tests.lines import logged
from unisid.log import JsonLines, Lines, Printing, about, logged_to, logger, silent

NEWS = logger("unisid.stages.test")
SECRET = "postgresql://shop:pw@db/mlflow?token=abc"


class Records(logging.Handler):
    """A handler of an application's own."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def own():
    handler = Records()
    logging.getLogger("unisid").addHandler(handler)
    yield handler.records
    logging.getLogger("unisid").removeHandler(handler)


def test_an_applications_own_handler_gets_clean_records(own):
    NEWS.info("at %s: \x1b[2Jgone", SECRET)
    assert [record.getMessage() for record in own] == ["at postgresql://***@db/mlflow?token=***: \\x1b[2Jgone"]


def test_a_line_of_a_stage_stays_one_line_and_stands_below_its_artifact():
    with logged_to(handler := Records(), logging.INFO), about("codes/demo/1"):
        NEWS.info("a title\nerror: forged")
        logger("unisid.runtime.tracking").info("registry: version 1")
    assert [Lines().format(record) for record in handler.records] == [
        "      a title\\nerror: forged",
        "registry: version 1",
    ]


def test_the_level_decides_and_warnings_say_that_they_are():
    with logged_to(handler := Records(), logging.WARNING):
        NEWS.info("news")
        NEWS.warning("left aside")
    assert [Lines().format(record) for record in handler.records] == ["warning: left aside"]


def test_details_have_the_module(capsys):
    with logged_to(Printing("stdout"), logging.DEBUG):
        NEWS.debug("a detail")
    assert capsys.readouterr().out.rstrip().endswith("DEBUG unisid.stages.test: a detail")


def test_json_is_an_object_a_line_with_figures_and_artifact(capsys):
    with logged_to(Printing("stdout"), logging.INFO, "json"), about("model/demo/1"):
        NEWS.info("step 10  loss 5", extra={"figures": {"step": 10, "loss": 5.0}})
        try:
            raise ValueError(SECRET)
        except ValueError:
            NEWS.exception("failed\x1b[0m")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "unisid.stages.test",
        "message": "step 10  loss 5",
        "artifact": "model/demo/1",
        "figures": {"step": 10, "loss": 5.0},
    }
    assert second["message"] == "failed\\x1b[0m"
    assert "ValueError" in second["traceback"]
    assert "pw@" not in second["traceback"]


def test_json_of_a_foreign_record_is_written_too():
    record = logging.LogRecord("unisid.x", logging.INFO, "file", 1, "%s of %s", (1, 2), None)
    assert json.loads(JsonLines().format(record))["message"] == "1 of 2"


def test_what_one_thread_makes_is_not_about_another_threads_lines(own):
    with about("codes/a/1"), silent():
        thread = threading.Thread(target=NEWS.info, args=("beside",))
        thread.start()
        thread.join()
        NEWS.info("dropped")
    assert [(record.getMessage(), record.artifact) for record in own] == [("beside", "")]


def test_afterwards_all_is_as_before():
    root = logging.getLogger("unisid")
    before = root.level, root.propagate, list(root.handlers)
    with pytest.raises(RuntimeError), logged_to(Printing("stdout"), logging.DEBUG):
        raise RuntimeError
    assert (root.level, root.propagate, list(root.handlers)) == before


def test_a_library_sets_no_handler_and_prints_nothing():
    code = (
        "import logging, unisid.pipeline, unisid.api.flows; from unisid.log import logger\n"
        "logger('unisid.x').info('news'); print(logging.getLogger('unisid').handlers, logging.getLogger().handlers)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[] []\n", "")


def test_kept_lines_are_those_of_the_own_thread():
    with logged() as lines:
        thread = threading.Thread(target=NEWS.info, args=("beside",))
        thread.start()
        thread.join()
        NEWS.info("here")
    assert lines == ["here"]
