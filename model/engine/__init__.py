"""The inference engine: a trunk as this machine passes sequence through it fastest."""
