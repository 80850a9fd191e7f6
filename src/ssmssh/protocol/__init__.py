"""The Session Manager data channel as pure code: bytes and `now` in; bytes, events and a deadline out.

Nothing in this package opens a socket, reads a clock, starts a thread or logs, so loss, reordering, pauses and an
hour of idleness are tested in milliseconds. `channel.DataChannel` is the client's side; the other modules are its
parts, each with one job: `message` the envelope, `payloads` what is in it, `sending` and `receiving` the two
directions of the reliability layer, `handshake` the first words, `events` what the caller is told.
"""
