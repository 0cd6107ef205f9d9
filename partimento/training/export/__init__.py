"""From trained networks to model folders."""
