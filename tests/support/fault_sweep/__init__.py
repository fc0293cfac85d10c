"""One table of faults and the two worlds it is played in: on fakes, and on the lab."""
