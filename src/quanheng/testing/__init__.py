"""Shipped to users: conformance kits, slow twins, simulators, the bench harness. Nothing else imports this."""
