"""Indexes and recommenders given to other systems, and taken from them."""
