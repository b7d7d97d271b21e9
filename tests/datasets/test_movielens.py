import pytest

from tests.datasets.reading import read_all
from unisid.datasets import movielens
from unisid.errors import DataError
from unisid.raw.time_ranges import Times

FLAGS = ["unknown", "Action", "Drama"]


def test_100k_in_its_original_files(tmp_path):
    (tmp_path / "u.genre").write_text("".join(f"{name}|{n}\n" for n, name in enumerate(FLAGS)) + "\n")
    rows = "1|Toy Story (1995)|01-Jan-1995||http://x|0|1|1\n2|Mis\u00e9rables, Les (1995)|||http://y|0|0|0\n"
    (tmp_path / "u.item").write_bytes(rows.encode("latin-1"))
    (tmp_path / "u.data").write_text("196\t1\t3\t881250949\n186\t2\t3\t891717742\n")
    items, interactions = read_all(movielens.Config(path=str(tmp_path)))
    assert items == [
        {"item_id": "1", "title": "Toy Story (1995)", "genres": "Action Drama"},
        {"item_id": "2", "title": "Mis\u00e9rables, Les (1995)", "genres": ""},
    ]
    assert interactions[0] == {"user_id": "196", "item_id": "1", "timestamp": 881250949, "rating": "3"}
    assert len(interactions) == 2


def test_1m_in_its_original_files(tmp_path):
    films = "1::Toy Story (1995)::Animation|Children's\n11::American President, The: X (1995)::Drama\n"
    (tmp_path / "movies.dat").write_bytes(films.encode("latin-1"))
    (tmp_path / "ratings.dat").write_text("1::11::5::978300760\n")
    items, interactions = read_all(movielens.Config(size="1m", path=str(tmp_path)))
    assert items[0] == {"item_id": "1", "title": "Toy Story (1995)", "genres": "Animation Children's"}
    assert items[1]["title"] == "American President, The: X (1995)"
    assert interactions == [{"user_id": "1", "item_id": "11", "timestamp": 978300760, "rating": "5"}]


def test_relative_paths_are_those_of_where_it_was_built(tmp_path, monkeypatch):
    (tmp_path / "u.genre").write_text("Drama|0\n")
    (tmp_path / "u.item").write_text("1|Toy Story (1995)|||http://x|1\n")
    (tmp_path / "u.data").write_text("196\t1\t3\t881250949\n")
    monkeypatch.chdir(tmp_path)
    dataset = movielens.Config(path=".").build()
    parts = dataset.parts()
    monkeypatch.chdir("/")
    assert [dataset.read(part).num_rows for part in parts] == [1, 1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1::::5::978300760\n", r"ratings.dat, line 2: the id is missing"),
        ("1::11::5::soon\n", r"ratings.dat, line 2: 'soon' is no time"),
        ("1::11::5::\n", r"ratings.dat, line 2: '' is no time"),
    ],
)
def test_missing_ids_and_times_are_named(tmp_path, row, message):
    (tmp_path / "movies.dat").write_text("11::American President, The (1995)::Drama\n")
    (tmp_path / "ratings.dat").write_text("1::11::5::978300760\n" + row)
    with pytest.raises(DataError, match=message):
        read_all(movielens.Config(size="1m", path=str(tmp_path)))


def test_times_of_another_unit_and_rows_without_one(tmp_path):
    (tmp_path / "movies.dat").write_text("11::American President, The (1995)::Drama\n")
    (tmp_path / "ratings.dat").write_text("1::11::5::978300760000\n")
    with pytest.raises(DataError, match=r"as 'ms', 978300760000 is 2000-12-31; check catalog.dataset.size"):
        read_all(movielens.Config(size="1m", path=str(tmp_path)))
    (tmp_path / "ratings.dat").write_text("1::11::5::978300760\n1::11::5::\n")
    dropping = movielens.Config(size="1m", path=str(tmp_path), times=Times(missing="drop"))
    assert [row["timestamp"] for row in read_all(dropping)[1]] == [978300760, None]
