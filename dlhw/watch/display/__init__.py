"""A watched training as table, figures, page, notebook and event files; no TensorFlow but for the event files."""
