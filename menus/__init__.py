"""Optimisation menus: data files with stable ids, and their loader."""
