"""Carbon units with serial numbers: issued in blocks, split by range, retired once, linked with other registries."""
