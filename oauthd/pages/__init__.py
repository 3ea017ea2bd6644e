"""Layer 3: one file per HTML page."""
