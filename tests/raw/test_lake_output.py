"""Names of tables that rows are written into: each kind has its form, and what is of none says all of them."""

import sys

import pyarrow as pa
import pytest

from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.errors import ConfigError, DataError
from unisid.raw.lake_output import WrittenTable


@pytest.mark.parametrize("name", ["tonight", "delta:", "iceberg:catalog", "iceberg:a/b/c", "hudi:/data/x", ""])
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(ConfigError, match="--into .*: must be delta:PATH, lance:PATH, iceberg:CATALOG/SPACE.TABLE"):
        WrittenTable.of("--into", name)


@pytest.mark.parametrize(("name", "module"), [("delta:/x", "deltalake"), ("lance:/x", "lance")])
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"--into {name}: to write .*pip install 'unisid\[lake\]'"):
        WrittenTable.of("--into", name)


def test_a_table_that_cannot_be_written_leaves_the_files_and_says_where(tmp_path):
    folder = Place.of(tmp_path / "out")
    write_table(folder, "part", 0, pa.table({"a": [1]}))
    table = WrittenTable.of("--into", f"sqlite:{tmp_path}/no/such/folder.db/tonight")
    with pytest.raises(DataError, match=rf"sqlite:.*tonight: a table of SQLite .*the files lie in {folder}"):
        table.replace(folder, "part", 1)
    assert folder.sizes()
