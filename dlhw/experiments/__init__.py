"""The experiments: one module per question. `dlhw.runs.experiment` finds them by their files."""
