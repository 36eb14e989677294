"""L3. placeholder until the generator of contractions lands."""
