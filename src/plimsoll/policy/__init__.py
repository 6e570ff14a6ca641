"""Is this image allowed? Policies, the requirements they select, and the judgement of evidence by them."""
