"""The switch on nginx: the user's own proxies, reloaded with another file of colors."""
