"""The pytest processes of a suite: how they are started, paired, ended, and what they record."""
