"""The search itself: plan, generate, evaluate, select, under its limits; what it learns, and what it records."""
