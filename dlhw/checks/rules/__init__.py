"""The rules, one a module: RULE, and the function that applies it."""
