"""Arrays in, words and figures out. Knows no experiment and no TensorFlow."""
