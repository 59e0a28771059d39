"""What a training does at every step: hooks on optimizer and model, rows in a ring, and rows of layers."""
