"""The one ordered log: record format, stores, the chain and tree above them."""
