"""Unified semantic IDs: a catalogue and its interactions in, short discrete item IDs and a recommender out."""

import importlib

__version__ = "0.1.0"

_FROM = {
    "run": "api.flows",
    "plan": "api.flows",
    "update": "api.daily",
    "configured": "api.flows",
    "doctor": "api.doctor",
    "Run": "api.flows",
    "Recommender": "api.recommender",
    "Recommendations": "api.recommender",
    "Recipe": "planning",
    "Store": "artifacts.store",
    "UnisidError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "ArtifactError": "errors",
    "DriftError": "errors",
    "BusyError": "errors",
}
"""Where each public name lies. It is loaded when it is first used; its types are in `__init__.pyi`."""
__all__ = ["__version__", *_FROM]


def __getattr__(name: str) -> object:
    """A public name, loaded on first use."""
    if name not in _FROM:
        raise AttributeError(f"module 'unisid' has no attribute '{name}'")
    found: object = getattr(importlib.import_module(f"unisid.{_FROM[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
