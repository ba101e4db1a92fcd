"""Digital bills: electronic drafts in packages of standard units; divided, endorsed, discounted, presented, paid."""
