"""What the commands do: each function is one command, ends with an exit status, and speaks to a person or in JSON."""
