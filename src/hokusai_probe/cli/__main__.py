"""``python -m hokusai_probe.cli``."""

from hokusai_probe.cli import main

main()
