"""Gates: from the results of many runs and a policy to one decision and its exit code; knows no pytest, reads no file."""
