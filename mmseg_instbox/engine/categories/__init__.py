"""The categories of runs and models: from the data sets, from checkpoints, from other models."""
