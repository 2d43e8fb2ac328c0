"""What the scenarios are played with: the gateway, real mail servers and clients, and scripted ones."""
