"""The life of an index: extended by new items, compared with another, evaluated on unseen items."""
