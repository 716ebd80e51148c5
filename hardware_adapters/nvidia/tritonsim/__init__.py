"""What runs in the process of a Triton kernel: Triton's own interpreter, watched access by access, and its compiler."""
