"""Layer 4: the only code that knows Klein and twisted.web."""
