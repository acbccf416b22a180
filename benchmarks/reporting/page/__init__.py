"""The page of a report: one HTML file with its data, its program and its libraries, which no network is asked for."""
