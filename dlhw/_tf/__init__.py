"""TensorFlow helpers: user data as tensors, losses, compiled functions. They know no model layout and no experiment."""
