"""Of the stand-in for NKI 2."""
