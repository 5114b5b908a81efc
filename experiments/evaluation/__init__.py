"""What has been counted, and what it proves: the ledger and the one meeting point with statistics."""
