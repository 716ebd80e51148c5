"""AWS Trainium: NKI kernels, judged and timed by an embedded simulator."""
