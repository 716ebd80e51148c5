"""What a search found, to look at: one page for a file, for a live server and for hosts that show MCP Apps."""
