"""Layer 5: the embedded Valkey process, the data folder, drain and signals."""
