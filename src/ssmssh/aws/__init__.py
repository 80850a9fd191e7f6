"""Everything that talks to AWS over HTTPS, and what is decided before a WebSocket is opened.

`client` makes the one botocore session (profile, region, credentials, TLS and proxy settings are AWS's own,
as for the AWS CLI); `ssm` calls StartSession, ResumeSession and TerminateSession; `signing` signs the
opening of the WebSocket; `endpoints` decides which addresses may see that signature; `proxies` finds the way
there; `regions` knows AWS's partitions; `caches` and `terminal` share role and MFA results with the AWS CLI;
`helpers` ends the programs that give credentials when we end; `errors` turns every foreign exception into one of ours.

What helps depends on where a fault is: `origins` knows where credentials come from, `advice` what to do about them
there, and `credentials` joins the two; `variables` finds the setting, `files` the line, that cannot be used.

Three modules are there for a quick start, and change nothing else: `loader` reads no more of botocore's data than a
session needs, `handlers` leaves the event handlers of other services for later, `transport` has the API calls use
the WebSocket's TLS context.

Only botocore is imported, and only when it is needed: this is on the path of every connection.
"""
