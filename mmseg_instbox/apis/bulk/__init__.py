"""Predictions of very many images: shards in Parquet, made by workers on one machine or many."""
