"""A world to rehearse in: AWS clients faked, a traffic model, faults and a virtual clock."""
