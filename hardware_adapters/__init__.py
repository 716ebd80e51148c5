"""What each target can do: compile, simulate, run, profile."""
