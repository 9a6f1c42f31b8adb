"""Active probing of own hosts; it acts, so it is no detector and has a package of its own.

Nothing is here yet: the probe suite belongs to the full protocol (see docs/protocol.md, G5).
"""
