"""Other people's engines: one module each, which exports to it, runs it and says where it differs."""
