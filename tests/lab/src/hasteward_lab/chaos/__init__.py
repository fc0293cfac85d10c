"""What can be done to a running lab so that it is broken the way real clusters break, and the way back."""
