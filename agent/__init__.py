"""The controller: an MCP client that runs the plan/generate search."""
