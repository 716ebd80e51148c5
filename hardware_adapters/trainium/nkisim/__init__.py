"""nkisim: a functional NKI simulator with a cost model. A process of its own, which imports nothing above it."""
