"""Benchmarks against other peers: both in one run, ratios beside the numbers."""
