"""Kernels made from schedules, and menu options as changes of these: what the offline tuner searches."""
