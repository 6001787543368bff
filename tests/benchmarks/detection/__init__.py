"""The judge of the detector: generated families with labelled truth, peers, one strict score for all."""
