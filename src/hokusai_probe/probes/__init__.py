"""One file is one look: a Facts class, a probe, its checks. The only place that talks to the platform."""
