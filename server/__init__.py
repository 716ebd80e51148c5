"""The front door: builds the MCP server, transports, the command line."""
