"""The MCP tools, resources and prompts: thin, typed, no search logic."""
