"""What runs leave behind, and what can be asked of many of them.

``runs`` is what is kept of a run, ``condense`` makes it from a Report, ``folder`` writes and reads files of
it, ``index`` is derived from them. ``questions``, ``compare``, ``retention`` and ``past`` answer, purely.
``legacy`` reads the reports that were written before there was a history.
"""
