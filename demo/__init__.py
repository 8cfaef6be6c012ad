"""The demo, `python -m demo`: a whole Serinus and an app that uses it, on this machine, for a few minutes.

Everything here is a client: it knows the server by its command line and its HTTP interface alone.
"""
