"""What is measured on a probe between epochs, and what a model says of itself before training."""
