"""The profile of cases: what the time of a call goes to, how near the limit it is, and what would make it faster."""
