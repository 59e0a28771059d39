"""Files that outlast a crash: atomic writes, sets of files, arrays, digests, and dataclasses in them."""
