"""What happens when parts of the platform fail: experiments in a sandbox, measured while users are at work.

An experiment (`experiment`) is TOML. `driver` conducts it with hands that it is given, and records what was
seen (`facts`); `judging` makes a result of that, and `documents` words. Only `driver`, `users` and
`thresholds` reach the outside.
"""
