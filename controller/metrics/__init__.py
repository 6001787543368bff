"""What memory did: blocks of samples for many containers at once, and the text of the queries."""
