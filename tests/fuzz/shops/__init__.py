"""Shops as files: a small world of users and items, ways to write it down, and what a catalog must say of it."""
