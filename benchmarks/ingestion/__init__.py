"""What taking traces in costs: the parts of `python -m benchmarks.ingest`."""
