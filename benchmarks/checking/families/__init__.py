"""What the corpus is made of, one module a kind of training; a family is one setting, with all its tables."""
