"""The life of an index: extended by new items, compared with another, judged on items that nobody has seen."""
