"""What API and WebSocket must agree about, or a session starts that nobody can join.

`hosts` cuts URLs and knows what this computer is called, `proxyurl` reads the address of a proxy, `tls` says which
certificates are trusted. Which hosts are the service's is `ssmssh.aws.endpoints`' to say.
"""
