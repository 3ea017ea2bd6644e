"""Layer 0: the words and rules of the specifications, pure and synchronous."""
