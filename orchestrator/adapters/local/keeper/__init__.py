"""The keeper: the small process beside each program. A program of its own, Python 3.8 or later.

It starts the program in a session of its own, starts it again with back-off when it dies, keeps
its log small, notes how it ended, and ends it when told to (SIGTERM): the whole session, and
whatever else the program left behind. It is begun with the lock of its folder in hand and one
order, as JSON, on stdin; it answers with one line on stdout, and from then on belongs to nobody.

The one rule: whoever is killed, whenever, there is never a second copy of the program. So
- the lock is taken before there is a keeper, and inherited by the keeper alone: while it is held,
  somebody sees to this name, and nobody else begins;
- a program is executed only after its pid, its start time and the number of its start are on the
  disk: the child waits for that, and ends itself when its keeper dies first;
- a keeper that finds the noted program alive does not start another, it watches that one.

It refuses to know releases, colors and epochs. The environment, with the secrets in it, is in its
memory only: it is written nowhere, and no core is dumped.

The note (`state.json`; beside, synced, renamed): tag, start, pid, started (clock ticks since the
boot), boot, stop_s, ending, keeper {pid, started, boot}, ended {start, how, at_s, lived_s,
log [from, to]}.

    __main__   becoming a keeper: nobody's child, hardened
    orders     what it is told, and its answer
    keeping    beginning, watching and ending the program
    program    the child, until it is the program
    note       what is on the disk
    living     what /proc says
    log        kept small

It imports nothing but the standard library and this folder.
"""
