"""What a terminal is shown: live panel, summaries, profiles. Drawn for its width, and inert whatever wrote it."""
