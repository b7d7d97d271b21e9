"""Ready experiments: functions from a dataset's recipe to an `Experiment` on it."""
