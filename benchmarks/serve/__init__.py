"""What serving costs: the parts of `python -m benchmarks.serving`."""
