"""NKI 1 (`neuronxcc.nki`) on the same machine: instructions that return tiles, index tiles, masks, blocks."""
