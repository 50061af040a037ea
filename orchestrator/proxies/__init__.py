"""What proxies on hosts have in common as a switch, whatever program they are.

Who is reached at which address, how a host is asked, one change at all of them together, and what
they all say, merged.
"""
