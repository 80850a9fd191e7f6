"""One live session, and what it takes: see `ssmssh.session.session` for the loop, `remote` for the service's side."""
