import dataclasses
import gzip
import json
from fractions import Fraction

import pytest

from tests.datasets.reading import read_all
from unisid.datasets import amazon
from unisid.errors import ConfigError, DataError
from unisid.raw import files, json_lines
from unisid.raw.time_ranges import Times


def write(path, lines):
    with gzip.open(path, "wt", encoding="utf8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return (str(path),)


def review_2018(user, item, time, **more):
    return json.dumps({"overall": 5.0, "reviewerID": user, "asin": item, "unixReviewTime": time} | more)


def test_2014_has_metadata_in_python_literals(tmp_path):
    meta = ["{'asin': '0001', 'title': \"It's\", 'brand': 'B', 'categories': [['Beauty', 'Hair']], 'price': 1.5}"]
    reviews = [review_2018("A", "0001", 1355616000, helpful=[1, 2], reviewText="x\ty")]
    config = amazon.Config(
        release="2014", reviews=write(tmp_path / "r.json.gz", reviews), metadata=write(tmp_path / "m.json.gz", meta)
    )
    items, interactions = read_all(config)
    assert items == [{"item_id": "0001", "title": "It's", "description": "", "brand": "B", "categories": "Beauty Hair"}]
    assert interactions == [{"user_id": "A", "item_id": "0001", "timestamp": 1355616000, "rating": 5.0}]


def test_2014_metadata_are_never_run(tmp_path):
    meta = ["{'asin': __import__('os').getcwd()}"]
    config = amazon.Config(
        release="2014", reviews=write(tmp_path / "r.gz", ["{}"]), metadata=write(tmp_path / "m.gz", meta)
    )
    with pytest.raises(DataError, match=r"m\.gz, line 1: is not a whole object"):
        read_all(config)


def test_2018_and_2023_differ_in_names_and_units(tmp_path):
    meta = [{"asin": "B1", "title": "Pen", "description": ["Blue.", "Fine."], "brand": "P", "category": ["Office"]}]
    old = amazon.Config(
        reviews=write(tmp_path / "r18.gz", [review_2018("A", "B1", 1500000000)]),
        metadata=write(tmp_path / "m18.gz", map(json.dumps, meta)),
    )
    new_meta = [
        {
            "parent_asin": "B1",
            "title": "Pen",
            "description": ["Blue.", "Fine."],
            "store": "P",
            "categories": ["Office"],
            "images": [],
        }
    ]
    new_review = {"user_id": "A", "asin": "B1-x", "parent_asin": "B1", "timestamp": 1500000000123, "rating": 5}
    new = amazon.Config(
        release="2023",
        reviews=write(tmp_path / "r23.gz", [json.dumps(new_review)]),
        metadata=write(tmp_path / "m23.gz", map(json.dumps, new_meta)),
    )
    (old_items, [first]), (new_items, [second]) = read_all(old), read_all(new)
    assert old_items == new_items
    assert second == first | {"timestamp": Fraction(1500000000123, 1000)}
    assert read_all(new)[0][0]["description"] == "Blue. Fine."


def test_ratings_are_numbers_and_absent_where_they_are_none(tmp_path):
    """Where a field of another type makes the reader take the lines one by one, too."""
    meta = write(tmp_path / "m.gz", [json.dumps({"asin": "B1", "title": "Pen"})])
    given, numbers = [5.0, 3, None, "4.5", "good", [1]], [5.0, 3.0, None, 4.5, None, None]
    for some in (3, 6):
        lines = [review_2018("A", "B1", 1500000000 + n, overall=rating) for n, rating in enumerate(given[:some])]
        _, rows = read_all(amazon.Config(reviews=write(tmp_path / f"{some}.gz", lines), metadata=meta))
        assert [row["rating"] for row in rows] == numbers[:some]


def test_a_broken_line_is_named_by_file_and_number(tmp_path, monkeypatch):
    good = [review_2018("A", "B1", t) for t in range(50)]
    whole = files.blocks
    monkeypatch.setattr(json_lines, "blocks", lambda path: whole(path, 100))  # many: lines are counted over all
    for broken in ('{"asin": "B1", ', "[1, 2]"):
        reviews = write(tmp_path / "r.json.gz", [*good, broken, *good])
        config = amazon.Config(reviews=reviews, metadata=write(tmp_path / "m.gz", ['{"asin": "B1"}']))
        with pytest.raises(DataError, match=r"r\.json\.gz, line 51: "):
            read_all(config)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"asin": "B1", "unixReviewTime": 1}', r"field 'reviewerID', line 3: the id is missing \(1 such rows\)"),
        (review_2018("A", "B1", "yesterday"), r"field 'unixReviewTime', line 3: 'yesterday' is no time"),
        (review_2018("A", "B1", None), r"field 'unixReviewTime', line 3: 'None' is no time"),
    ],
)
def test_missing_and_wrong_fields(tmp_path, line, message):
    good = review_2018("A", "B1", 5)
    reviews = write(tmp_path / "r.gz", [good, good, line])
    config = amazon.Config(reviews=reviews, metadata=write(tmp_path / "m.gz", ['{"asin": "B1"}']))
    with pytest.raises(DataError, match=message):
        read_all(config)


def test_a_file_cut_off_is_an_error(tmp_path):
    (path,) = write(tmp_path / "r.json.gz", [review_2018("A", f"B{n}", n) for n in range(5000)])
    data = (tmp_path / "r.json.gz").read_bytes()
    (tmp_path / "r.json.gz").write_bytes(data[: len(data) // 2])
    config = amazon.Config(reviews=(path,), metadata=write(tmp_path / "m.gz", ['{"asin": "B1"}']))
    with pytest.raises(DataError, match=r"r\.json\.gz"):
        read_all(config)


def test_several_categories_are_several_parts(tmp_path):
    reviews = tuple(write(tmp_path / f"r{n}.gz", [review_2018("A", f"B{n}", n)])[0] for n in range(3))
    config = amazon.Config(reviews=reviews, metadata=write(tmp_path / "m.gz", ['{"asin": "B1"}']))
    assert len(config.build().parts()) == 4
    assert [row["item_id"] for row in read_all(config)[1]] == ["B0", "B1", "B2"]


def test_times_of_another_release_and_rows_without_one(tmp_path):
    metadata = write(tmp_path / "m.gz", ['{"asin": "B1"}'])
    config = amazon.Config(reviews=write(tmp_path / "r.gz", [review_2018("A", "B1", 1500000000123)]), metadata=metadata)
    with pytest.raises(DataError, match=r"as 'ms', 1500000000123 is 2017-07-14; check catalog.dataset.release"):
        read_all(config)
    rows = [review_2018("A", "B1", 1500000000), review_2018("A", "B1", None)]
    config = amazon.Config(reviews=write(tmp_path / "r.gz", rows), metadata=metadata, times=Times(missing="drop"))
    assert [row["timestamp"] for row in read_all(config)[1]] == [1500000000, None]


def test_empty_lines_are_counted_and_not_read(tmp_path):
    rows = [
        review_2018("A", "B1", 1500000000),
        "",
        review_2018("A", "B1", 1500000001),
        review_2018("A", None, 1500000002),
    ]
    config = amazon.Config(
        reviews=write(tmp_path / "r.gz", rows), metadata=write(tmp_path / "m.gz", ['{"asin": "B1"}'])
    )
    with pytest.raises(DataError, match=r"r.gz, field 'asin', line 4: the id is missing"):
        read_all(config)
    config = amazon.Config(reviews=write(tmp_path / "r.gz", rows[:3]), metadata=config.metadata)
    assert [row["user_id"] for row in read_all(config)[1]] == ["A", "A"]


def test_ids_that_are_numbers_are_read_and_lists_are_refused(tmp_path):
    reviews = write(tmp_path / "r.gz", [review_2018(1, 7, 1500000000), review_2018("A", 8, 1500000000)])
    metadata = write(tmp_path / "m.gz", ['{"asin": 7}', '{"asin": "8"}'])
    items, interactions = read_all(amazon.Config(reviews=reviews, metadata=metadata))
    assert [row["item_id"] for row in items] == ["7", "8"]
    assert [(row["user_id"], row["item_id"]) for row in interactions] == [("1", "7"), ("A", "8")]
    for broken in (['{"asin": ["7"]}'], ['{"asin": "7"}', '{"asin": ["8"]}']):
        with pytest.raises(DataError, match=r"m.gz.*field 'asin'"):
            read_all(amazon.Config(reviews=reviews, metadata=write(tmp_path / "m.gz", broken)))


def test_bytes_of_another_encoding_are_refused_with_their_line_or_read(tmp_path):
    meta = [json.dumps({"asin": "B1", "title": title}, ensure_ascii=False) for title in ("Pen", "Crème", "Ink")]
    (tmp_path / "m.gz").write_bytes(gzip.compress("\n".join(meta).encode("latin-1")))
    reviews = [review_2018("A", "B1", 1500000000), review_2018("Zoé", "B1", 1500000001)]
    text = "\n".join(json.dumps(json.loads(line), ensure_ascii=False) for line in reviews)
    (tmp_path / "r.json").write_bytes(text.encode("latin-1"))
    config = amazon.Config(reviews=(str(tmp_path / "r.json"),), metadata=(str(tmp_path / "m.gz"),))
    dataset = config.build()
    for part, place in zip(dataset.parts(), (r"m\.gz, line 2", r"r\.json, line 2"), strict=True):
        with pytest.raises(DataError, match=rf"{place}: is not UTF-8 .*set catalog.dataset.encoding"):
            dataset.read(part)
    items, interactions = read_all(dataclasses.replace(config, encoding="latin-1"))
    assert [row["title"] for row in items] == ["Pen", "Crème", "Ink"]
    assert [row["user_id"] for row in interactions] == ["A", "Zoé"]


def test_files_in_utf_16_are_read_by_their_mark(tmp_path):
    (tmp_path / "m.json").write_bytes('{"asin": "B1", "title": "Crème"}\n'.encode("utf-16"))
    config = amazon.Config(
        reviews=write(tmp_path / "r.gz", [review_2018("A", "B1", 1500000000)]), metadata=(str(tmp_path / "m.json"),)
    )
    assert read_all(config)[0][0]["title"] == "Crème"


def test_an_encoding_that_there_is_not_is_refused_before_any_file():
    with pytest.raises(ConfigError, match=r"catalog\.dataset\.encoding: there is no encoding of text 'latin-x'"):
        amazon.Config(encoding="latin-x")


@pytest.mark.parametrize("text", ['[{"asin": "B1"}]', '[\n  {"asin": "B1"}\n]', "[]"])
def test_a_json_array_is_refused_with_what_makes_lines_of_it(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    config = amazon.Config(
        reviews=write(tmp_path / "r.gz", [review_2018("A", "B1", 1500000000)]), metadata=(str(tmp_path / "m.json"),)
    )
    with pytest.raises(DataError, match=r"m\.json, line 1: .*`jq -c '\.\[\]'` makes"):
        read_all(config)
