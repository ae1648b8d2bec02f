"""Gates: from the results of many runs and a policy to one decision; knows no pytest, reads no file."""
