"""Files of numbers -> tables with the headers of their author, one small module a format. Nothing in them is executed.

Every module has `read(path) -> list[Raw]`; :func:`dlhw.checks.readers.opening.read` chooses it.
"""
