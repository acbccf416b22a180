"""What a call counts: operators, bytecodes, bytes and hardware events, in calls of their own."""
