"""What a call counts: operators, bytecodes, bytes and hardware events, in passes of their own."""
