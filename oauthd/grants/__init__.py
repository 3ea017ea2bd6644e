"""Layer 2: one file per grant_type."""
