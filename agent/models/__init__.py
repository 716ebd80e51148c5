"""Language models (and the offline tuner) behind one contract."""
