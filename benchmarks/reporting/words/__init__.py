"""The answer, its price, doubts and the measurement in sentences and lines, for reports and terminals alike."""
