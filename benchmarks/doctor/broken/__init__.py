"""Broken programs by the kind of their fault, written anew; no code of the published programs is copied."""
