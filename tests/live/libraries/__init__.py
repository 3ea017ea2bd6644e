"""Clients made with well-known libraries, each a process of its own that talks to the test by lines of JSON.

A client says `{"keys": JWKS}` and is told `{"client_id": ...}`; it says `{"visit": URL}` and is told
`{"arrived": URL}`, where the browser was sent back to; at the end it says `{"done": {...}}`, what it found out.
"""
