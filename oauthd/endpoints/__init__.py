"""Layer 3: one file per protocol endpoint."""
