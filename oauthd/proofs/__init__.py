"""Layer 2: one file per way a caller proves something."""
