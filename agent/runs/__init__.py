"""What is kept of runs, and how: candidates and their standing, the journal on SQLite or PostgreSQL."""
