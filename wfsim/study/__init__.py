"""Many runs in one frame: what was, what if."""
