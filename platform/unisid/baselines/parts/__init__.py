"""What several kinds of baselines share: training, settings, factors, attributes of items."""
