"""A simulated world for rehearsals: fake AWS clients, traffic, fault events, a virtual clock."""
