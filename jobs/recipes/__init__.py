"""Recipes: functions that return whole configurations. A variant is a `dataclasses.replace` of another."""
