"""Layer 3: the admin API, one file per resource, and the oauthd command."""
