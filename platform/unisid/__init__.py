"""Unified semantic IDs: a catalogue and its interactions in, short discrete item IDs and a recommender out."""

__version__ = "0.1.0"
