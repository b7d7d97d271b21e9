"""Bad inputs, made from seeds: every kind is a module in `kinds`, `law` says what may come of an input."""
