"""Layer 5: what a process is and does: start and end, sockets, workers, the embedded Valkey, its log and figures."""
