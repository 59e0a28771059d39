"""What lies between the settings of an experiment and its stored result, for any experiment."""
