"""Published numbers, measured again with dlhw: `python -m benchmarks.reproduce`."""
