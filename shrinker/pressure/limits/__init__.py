"""How much memory there is, and how much of it is used: cgroups and the machine."""
