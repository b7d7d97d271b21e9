"""Tables of results where there is no terminal: the same plain columns as ever."""

from unisid.cli.tables import show


def test_elsewhere_a_table_is_plain_columns(capsys):
    show([("item", "title"), ("i1", "a word"), ("i200", "b")])
    assert capsys.readouterr().out == "item  title\ni1    a word\ni200  b\n"
