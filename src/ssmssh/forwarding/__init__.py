"""Port forwarding without ssh: what listens here, and the sessions that carry what comes in.

A part of it is one mechanism: how forwardings are written (`specs`), SOCKS (`socks`), what listens (`listeners`), the
sessions, one a destination (`routes`), and all of them in one loop (`forwarder`).
"""
