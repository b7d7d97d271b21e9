"""Ready spaces for `unisid search`: functions that return a `Space`."""
