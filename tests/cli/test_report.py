"""`unisid report`: the report of a name, or of what was made last, printed and opened."""

import webbrowser
from pathlib import Path

import pytest

from tests.recommenders import stored
from unisid import cli


@pytest.fixture
def folder(tmp_path):
    """A store with a recommender called ring and two reports."""
    stored(tmp_path)
    for name in ("ring/1", "other/2"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "report.html").write_text("<p>")
    return tmp_path


def said(capsys, folder, *words):
    code = cli.main(["report", *words, "--store", str(folder)])
    out, complaint = capsys.readouterr()
    return code, out.strip(), complaint


def test_the_report_of_a_name_or_of_what_was_made_last(folder, capsys):
    assert said(capsys, folder)[:2] == (0, f"{folder}/reports/ring/1/report.html")
    assert said(capsys, folder, "other/2")[:2] == (0, f"{folder}/reports/other/2/report.html")
    code, _, complaint = said(capsys, folder, "rong")
    assert code == 1
    assert "report 'rong': not in" in complaint
    assert "known: other/2, ring/1" in complaint


def test_a_store_without_reports_says_so(tmp_path, capsys):
    stored(tmp_path)
    code, _, complaint = said(capsys, tmp_path)
    assert code == 1
    assert "holds no report yet; unisid run RECIPE writes one" in complaint


def test_it_is_opened_in_a_browser(folder, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or True)
    assert said(capsys, folder, "ring", "--open")[0] == 0
    assert opened == [(Path(folder) / "reports/ring/1/report.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda uri: False)
    code, out, complaint = said(capsys, folder, "ring", "--open")
    assert (code, out) == (1, f"{folder}/reports/ring/1/report.html")
    assert "no browser is found" in complaint
