"""Rows of codes compared as Python tuples."""


def ranks(rows):
    """Every row's place among the distinct rows in ascending order."""
    place = {row: number for number, row in enumerate(sorted(set(map(tuple, rows))))}
    return [place[tuple(row)] for row in rows]


def found(rows, prefix):
    """The numbers of the rows that begin with a prefix, in the rows' order."""
    by_row = sorted(range(len(rows)), key=lambda number: tuple(rows[number]))
    return [number for number in by_row if tuple(rows[number][: len(prefix)]) == tuple(prefix)]
