"""Several servers as one: who may work on a problem, who gets which call, and what happens when one fails or stalls."""
