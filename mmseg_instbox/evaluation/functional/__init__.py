"""Figures as functions on arrays; they know nothing of data samples, runs or files."""
