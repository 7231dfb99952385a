"""Bringing what runs wrote to a git remote: the history to a branch of its own, documents where one likes.

``contents`` reads what a folder holds, ``news`` says what of it is new (pure), ``leaks`` is the gate that
every byte passes (pure), ``process`` runs git, ``way`` is how to reach the remote, ``remote`` a repository of
our own with the remote in it, ``refusals`` reads git's answers (pure), ``building`` makes commits, and
``publisher`` pushes them, again and again until it is done. ``wish`` is what is asked for, and what became
of it.
"""
