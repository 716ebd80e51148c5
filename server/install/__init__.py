"""install: what hosts (IDEs, assistants) need to know of this server, written into their configuration."""
