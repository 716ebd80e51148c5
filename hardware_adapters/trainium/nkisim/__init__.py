"""nkisim: a functional NKI simulator with a cost model. Runs in a process of its own and imports nothing of the package."""
