"""Who may vouch for what: trust stores, certificates, their updates, and the making of signatures."""
