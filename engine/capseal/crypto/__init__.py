"""Keys (RSA) and the cipher of payload segments (AES-256-GCM). No primitive of our own."""
