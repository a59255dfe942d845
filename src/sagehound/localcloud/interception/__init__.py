"""The proxy on the cloud's own port: unmodified clients reach AWS's hosts, and find this cloud there."""
