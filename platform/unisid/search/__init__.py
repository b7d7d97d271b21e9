"""Searches: what happens to an index and a recommender when settings change."""
