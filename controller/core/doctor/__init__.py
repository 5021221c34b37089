"""What the findings of `doctor` mean: facts in, checks out; who asked AWS for them is elsewhere."""
