"""The switch on HAProxy: the user's own proxies, whose maps say which color gets traffic."""
