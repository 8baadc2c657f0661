"""Where a measurement runs: this machine, Android, iOS, cloud labs."""
