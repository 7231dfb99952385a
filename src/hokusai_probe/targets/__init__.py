"""The targets that ship, one TOML file each."""
