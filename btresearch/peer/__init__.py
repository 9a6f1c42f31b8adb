"""A BitTorrent peer without I/O."""
