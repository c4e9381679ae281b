"""The story of one resident's record, from the incumbent's file to evidence of erasure, told with real processes."""
