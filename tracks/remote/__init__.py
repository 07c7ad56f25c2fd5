"""Files on the web: permitted addresses, read in ranges, and the track hubs of others."""
