"""Export of indexes and recommenders to other systems, and import of their semantic ids."""
