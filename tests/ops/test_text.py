import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.text import clean_text, has_markup

MESSY = st.text(st.sampled_from("ab<>/&;!-# \n\tltgamp\"'="), max_size=60)


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("HP  74 Black &amp; 75\n Colour", "HP 74 Black & 75 Colour"),
        ("<b>Bold</b><br/>text", "Bold text"),
        ("a &amp;lt;i&amp;gt;b&amp;lt;/i&amp;gt; c", "a b c"),
        ("before <!-- .x {color:#000} --> after", "before after"),
        ("x<style type='a'>p > q {}</style>y<SCRIPT>if (a<b) c</SCRIPT>z", "x y z"),
        ("3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
        ("AT&T caf\u00e9 \u00a0 &eacute;", "AT&T caf\u00e9 \u00e9"),
        ("", ""),
    ],
)
def test_what_is_taken_out_and_what_stays(raw, plain):
    assert clean_text(raw) == plain


@given(MESSY)
def test_cleaning_twice_changes_nothing(raw):
    once = clean_text(raw)
    assert clean_text(once) == once
    assert not has_markup(once)


@pytest.mark.parametrize(
    ("title", "markup"),
    [("<span id='t'>Pen</span>", True), ("&lt;b&gt;Pen", True), ("Pens &amp; ink", False), ("5 < 6", False)],
)
def test_markup_is_tags_and_not_entities(title, markup):
    assert has_markup(title) is markup
