"""Did it help? Facts after a remediation in, recovery out."""
