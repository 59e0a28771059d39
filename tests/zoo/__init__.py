"""Every kind of Keras model through every instrument and both trainings: right, or refused in one line."""
