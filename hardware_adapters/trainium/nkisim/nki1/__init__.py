"""NKI 1 (`neuronxcc.nki`): instructions that return tiles, index tiles, masks, block dimensions; the same machine behind."""
