"""Goldens: what the engine decides, and what it stores, in stories that are played again.

Two files have a line for each story. `decisions.txt` covers each change of phase, weight, reason
and verdict, each notice and each exit status. `stored.txt` covers each history entry and the state
at the end, with numbers of nine digits and without the hash chain, because Python 3.12 adds floats
up more exactly than 3.11. `transcripts/` has some of the stories in full, for people.

    python -m tests.goldens                         check all of them
    python -m tests.goldens --write                 record them again
    python -m tests.goldens --show 'chaos sqlite 7' print one story
    python -m tests.goldens --against HEAD~3        what differs from a commit, decision by decision

`terminal/` has what each verb prints on a terminal, in stories of their own: `terminal.py`.

    python -m tests.goldens.terminal --write        record them again
"""
